/**
 * The defence strategies at work: once a second the automatic modes are judged, and with drop_entry a part of the connection
 * table is thinned out (`defense_work_handler`, `ip_vs_random_dropentry`).
 * @module
 */
import { FLAG } from "./connections.ts";
import type { Context } from "./context.ts";
import { EntryDropper, level, type PacketDropper } from "./defence.ts";
import { PROTO } from "./flow.ts";
import { SCTP_STATE } from "./states/sctp.ts";
import { TCP_STATE } from "./states/tcp.ts";
import { ASSURED, type Tracker } from "./tracker.ts";

/** Share of the table that is looked at each second. */
const SHARE = 32;

/** Applies drop_entry, drop_packet and secure_tcp. */
export class Defence {
  private readonly context: Context;
  private readonly tracker: Tracker;
  private readonly dropper: PacketDropper;
  private readonly entries = new EntryDropper();
  private dropsEntries = false;

  constructor(context: Context, tracker: Tracker, dropper: PacketDropper) {
    this.context = context;
    this.tracker = tracker;
    this.dropper = dropper;
  }

  /** Brings the strategies in line with settings and memory. */
  apply(): void {
    const { settings, host } = this.context;
    const available = host.availablePages();
    const short = available < settings.amemthresh;
    const entry = level(settings.drop_entry, short);
    const packet = level(settings.drop_packet, short);
    const secure = level(settings.secure_tcp, short);
    settings.drop_entry = entry.mode;
    settings.drop_packet = packet.mode;
    settings.secure_tcp = secure.mode;
    this.dropsEntries = entry.on;
    this.tracker.secure = secure.on;
    const automatic = Math.floor(settings.amemthresh / Math.max(1, settings.amemthresh - available));
    this.dropper.setRate(packet.on ? (settings.drop_packet === 3 ? settings.am_droprate : automatic) : 0);
  }

  /** Call every second. */
  tick(): void {
    this.apply();
    if (!this.dropsEntries) return;
    const { connections, random } = this.context;
    const victims: number[] = [];
    connections.forEach((c) => {
      if (random() * SHARE < 1 && this.expendable(c)) victims.push(c);
    });
    // Dropping one may take its controller along.
    for (const c of victims) if (connections.flags(c) & FLAG.hashed) this.tracker.force(c);
  }

  private expendable(c: number): boolean {
    const { connections, table } = this.context;
    if (connections.children(c) > 0) return false;
    const state = connections.state(c);
    if (connections.flags(c) & FLAG.template) {
      if (table.server(connections.server(c))?.service.spec.onePacket) return this.idle(c);
      return (state & ASSURED) === 0;
    }
    const protocol = connections.protocol(c);
    if (protocol === PROTO.tcp) {
      if (state === TCP_STATE.SYN_RECV || state === TCP_STATE.SYNACK) return true;
      return state === TCP_STATE.ESTABLISHED && this.idle(c);
    }
    if (protocol === PROTO.sctp) {
      if (state === SCTP_STATE.INIT1 || state === SCTP_STATE.INIT) return true;
      return state === SCTP_STATE.ESTABLISHED && this.idle(c);
    }
    return this.idle(c);
  }

  private idle(c: number): boolean {
    const { connections, now } = this.context;
    const left = connections.dueAt(c) - now;
    return this.entries.shouldDrop(connections.timeoutMs(c) - left, connections.inPackets(c));
  }
}
