/**
 * Which connections a master announces, and when (`net/netfilter/ipvs/ip_vs_sync.c`: `ip_vs_sync_conn`,
 * `ip_vs_sync_conn_needed`), and the messages that come of it. Pure: messages go to a callback, time is an argument.
 * @module
 */
import { entryLength, SyncWriter } from "../../wire/sync.ts";
import { FLAG } from "../connections.ts";
import { PROTO } from "../flow.ts";
import type { Settings } from "../settings.ts";
import { SCTP_STATE } from "../states/sctp.ts";
import { TCP_STATE } from "../states/tcp.ts";
import { type AnnouncedConnections, entryOf, hasLocalEnd } from "./entry.ts";

/** A message that is not full leaves after this, ms. */
export const FLUSH_MS = 2000;
const MIN_DIFFERENCE_MS = 10_000;
/** Slots of the table looked at in one go. */
const SCAN = 65_536;

const bits = (...states: number[]): number => states.reduce((all, s) => all | (1 << s), 0);
/** States in which a connection is announced at all. */
const TCP_STATES = bits(
  TCP_STATE.ESTABLISHED,
  TCP_STATE.FIN_WAIT,
  TCP_STATE.CLOSE,
  TCP_STATE.CLOSE_WAIT,
  TCP_STATE.TIME_WAIT,
);
const SCTP_STATES = bits(
  SCTP_STATE.ESTABLISHED,
  SCTP_STATE.SHUTDOWN_SENT,
  SCTP_STATE.SHUTDOWN_RECEIVED,
  SCTP_STATE.SHUTDOWN_ACK_SENT,
  SCTP_STATE.CLOSED,
);

/** Whether a connection is one that a backup is told of at all, by its kind and state. */
function announceable(connections: AnnouncedConnections, c: number): boolean {
  const flags = connections.flags(c);
  if (flags & FLAG.onePacket) return false;
  if (flags & FLAG.template) return true;
  const protocol = connections.protocol(c);
  if (protocol === PROTO.tcp) return ((TCP_STATES >> connections.state(c)) & 1) === 1;
  if (protocol === PROTO.sctp) return ((SCTP_STATES >> connections.state(c)) & 1) === 1;
  return true;
}

/** The director as a master sees it. */
export interface Announcing {
  readonly connections: AnnouncedConnections;
  readonly settings: Readonly<Settings>;
  /** Monotonic ms. */
  readonly now: number;
}

/** Settings of a running master, defaults filled in. */
export interface MasterOptions {
  /** 0..255; what is sent is the low byte. */
  readonly syncId: number;
  /** Largest payload, bytes. */
  readonly maxLen: number;
  /** Takes a finished message for port number `port` (0 is the base port). The bytes are the callee's. */
  readonly send: (message: Uint8Array<ArrayBuffer>, port: number) => void;
}

/** What a master did, for status displays. */
export interface MasterCounts {
  /** Connections and templates announced. */
  entries: number;
  messages: number;
  /** Bytes of payload. */
  bytes: number;
}

interface Buffer {
  readonly writer: SyncWriter;
  /** Monotonic ms at which it leaves even if there is room. */
  readonly due: number;
}

/** The sending side. */
export class SyncMaster {
  readonly counts: MasterCounts = { entries: 0, messages: 0, bytes: 0 };
  private readonly context: Announcing;
  private readonly options: MasterOptions;
  private readonly buffers: (Buffer | undefined)[] = [];
  // By connection: the expiry time announced last (ms), how often it was repeated, the state announced last.
  private announced = new Float64Array(0);
  private repeats = new Uint8Array(0);
  private states = new Uint8Array(0);
  // `sync_threshold` as numbers; parsed when the text changes.
  private thresholdText = "";
  private threshold = 0;
  private period = 0;

  constructor(context: Announcing, options: MasterOptions) {
    this.context = context;
    this.options = options;
  }

  /** An inbound packet of a connection was handled. Counts it, with its controllers. */
  packet(c: number): void {
    const { connections } = this.context;
    connections.countIn(c);
    this.consider(c, connections.inPackets(c));
  }

  /** The same where somebody else counts a connection's packets: this was number `packets`. */
  counted(c: number, packets: number): void {
    this.consider(c, packets);
  }

  /** Packets of a connection may have gone unseen: it is announced if one of them would have had it announced. */
  missed(c: number): void {
    const { connections } = this.context;
    this.readThreshold();
    if (c >= this.announced.length) this.grow(c);
    const never = this.announced[c] === 0 && connections.inPackets(c) >= this.threshold;
    if (never || (this.announced[c] !== 0 && this.states[c] !== connections.state(c))) this.kept(c);
  }

  /** A connection that controls others was due and stays. */
  kept(c: number): void {
    this.readThreshold();
    this.consider(c, this.threshold);
  }

  private consider(c: number, packets: number): void {
    const { connections, settings } = this.context;
    this.readThreshold();
    const older = settings.sync_version === 0;
    let n = packets;
    for (let at = c; at !== 0; ) {
      const single = (connections.flags(at) & FLAG.onePacket) !== 0;
      if (older && (single || connections.family(at) !== 4)) return;
      const sent = !single && this.needed(at, n);
      if (sent) this.add(at, older ? 0 : 1);
      // Version 0 looks at the controller only after its connection was sent.
      else if (older) return;
      at = connections.parent(at);
      if (at === 0) return;
      if (connections.flags(at) & FLAG.template) {
        connections.countIn(at);
        n = connections.inPackets(at);
      } else n = this.threshold;
    }
  }

  /** A connection ended; its slot will be another's. */
  forget(c: number): void {
    if (c >= this.announced.length) return;
    this.announced[c] = 0;
    this.repeats[c] = 0;
    this.states[c] = 0;
  }

  /**
   * The whole table as messages of version 1, whatever was announced before; `batch` slots are looked at for each step. Between steps
   * the context may get another table: nothing of the former one is looked at then.
   */
  *table(batch: number): Generator<Uint8Array<ArrayBuffer>> {
    let from = 0;
    do {
      const found: number[] = [];
      from = this.context.connections.scan(from, batch, (c) => found.push(c));
      yield* this.messagesOf(found);
    } while (from !== 0);
  }

  private messagesOf(found: readonly number[]): Uint8Array<ArrayBuffer>[] {
    const { connections } = this.context;
    const { syncId, maxLen } = this.options;
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let writer = new SyncWriter(1, syncId & 0xff, maxLen);
    for (const c of found) {
      if (!announceable(connections, c)) continue;
      const entry = entryOf(connections, c);
      if (writer.add(entry)) continue;
      messages.push(writer.take());
      writer = new SyncWriter(1, syncId & 0xff, maxLen);
      writer.add(entry);
    }
    if (writer.count > 0) messages.push(writer.take());
    return messages;
  }

  /**
   * Announces the connections that have not had enough packets yet for the threshold: for a master that is about to end, so that
   * whoever comes after it has all of them.
   */
  announceYoung(): void {
    const { connections, settings } = this.context;
    this.readThreshold();
    const version = settings.sync_version === 0 ? 0 : 1;
    for (let from = connections.scan(0, SCAN, (c) => this.young(c, version)); from !== 0; )
      from = connections.scan(from, SCAN, (c) => this.young(c, version));
  }

  private young(c: number, version: 0 | 1): void {
    const { connections, settings } = this.context;
    if (connections.flags(c) & FLAG.template || connections.inPackets(c) >= this.threshold) return;
    if (!announceable(connections, c) || (version === 0 && connections.family(c) !== 4)) return;
    if (settings.sync_persist_mode && this.underTemplate(c)) return;
    this.add(c, version);
  }

  /** Sends what waited long enough; with `all` everything that waits. */
  flush(now: number, all = false): void {
    for (const [port, buffer] of this.buffers.entries()) {
      if (buffer && (all || now >= buffer.due)) this.finish(port, buffer);
    }
  }

  private readThreshold(): void {
    const text = this.context.settings.sync_threshold;
    if (text === this.thresholdText) return;
    this.thresholdText = text;
    const [threshold, period] = text.trim().split(/\s+/).map(Number);
    this.threshold = threshold;
    this.period = period;
  }

  private needed(c: number, n: number): boolean {
    const { connections, settings, now } = this.context;
    if (c >= this.announced.length) this.grow(c);
    const template = (connections.flags(c) & FLAG.template) !== 0;
    const state = connections.state(c);
    const timeout = connections.timeoutMs(c);
    const protocol = connections.protocol(c);
    if (!template) {
      if (settings.sync_persist_mode && this.underTemplate(c)) return false;
      if (!announceable(connections, c)) return false;
      if (protocol === PROTO.tcp || protocol === PROTO.sctp) {
        const established = protocol === PROTO.tcp ? TCP_STATE.ESTABLISHED : SCTP_STATE.ESTABLISHED;
        if (state !== this.states[c] && state !== established) return this.note(c, now + timeout, 0);
      }
    }
    const end = now + timeout;
    let repeats = 0;
    const refresh = settings.sync_refresh_period * 1000;
    if (refresh > 0) {
      const before = this.announced[c];
      const least = Math.min(refresh, Math.max(timeout / 2, MIN_DIFFERENCE_MS));
      if (before !== 0 && Math.abs(end - before) < least) {
        if (this.repeats[c] >= settings.sync_retries) return false;
        if (now < before - timeout + refresh / 8) return false;
        repeats = this.repeats[c] + 1;
      }
    }
    if (this.period > 0) {
      if (!template && n % this.period !== this.threshold) return false;
    } else if (refresh === 0 && n !== this.threshold) return false;
    return this.note(c, end, repeats);
  }

  private note(c: number, end: number, repeats: number): true {
    this.states[c] = this.context.connections.state(c);
    this.announced[c] = end;
    this.repeats[c] = repeats;
    return true;
  }

  private underTemplate(c: number): boolean {
    const { connections } = this.context;
    for (let p = connections.parent(c); p !== 0; p = connections.parent(p)) {
      if (connections.flags(p) & FLAG.template) return true;
    }
    return false;
  }

  private grow(c: number): void {
    const size = Math.max(1024, 2 ** Math.ceil(Math.log2(c + 1)));
    const [announced, repeats, states] = [this.announced, this.repeats, this.states];
    this.announced = new Float64Array(size);
    this.announced.set(announced);
    this.repeats = new Uint8Array(size);
    this.repeats.set(repeats);
    this.states = new Uint8Array(size);
    this.states.set(states);
  }

  private add(c: number, version: 0 | 1): void {
    // Version 0 cannot tell where replies come to.
    if (version === 0 && hasLocalEnd(this.context.connections.flags(c))) return;
    const { syncId, maxLen } = this.options;
    // One connection always uses one port, so that its news arrive in order.
    const port = c % this.context.settings.sync_ports;
    const entry = entryOf(this.context.connections, c);
    let buffer = this.buffers[port];
    if (buffer && buffer.writer.version !== version) {
      this.finish(port, buffer);
      buffer = undefined;
    }
    if (!buffer?.writer.add(entry)) {
      if (buffer) this.finish(port, buffer);
      buffer = {
        writer: new SyncWriter(version, syncId & 0xff, maxLen),
        due: this.context.now + FLUSH_MS,
      };
      buffer.writer.add(entry);
      this.buffers[port] = buffer;
    }
    this.counts.entries++;
    // Full as soon as no small entry fits: it need not wait.
    if (buffer.writer.room < entryLength(entry, version)) this.finish(port, buffer);
  }

  private finish(port: number, buffer: Buffer): void {
    this.buffers[port] = undefined;
    const message = buffer.writer.take();
    this.counts.messages++;
    this.counts.bytes += message.length;
    this.options.send(message, port);
  }
}
