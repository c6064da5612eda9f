/**
 * What a backup does with the messages of a master (`net/netfilter/ipvs/ip_vs_sync.c`: `ip_vs_process_message`, `ip_vs_proc_conn`).
 * @module
 */
import { equalWords, readWords } from "../../wire/address.ts";
import { parse, type SyncEntry } from "../../wire/sync.ts";
import { FLAG } from "../connections.ts";
import type { Context } from "../context.ts";
import type { FtpHelper } from "../ftp.ts";
import type { Tracker } from "../tracker.ts";
import type { SyncBinding } from "./binding.ts";
import { acceptable, isEnding, KEPT_FLAGS, TEMPLATE_MS } from "./taking.ts";

/** Flags of a known connection that a message changes. */
const UPDATED_FLAGS = FLAG.inactive | FLAG.outSeq | FLAG.inSeq;
/** What came in, for status displays. */
export interface BackupCounts {
  messages: number;
  /** Messages dropped whole: garbage, lies about lengths, another syncid. */
  refused: number;
  created: number;
  updated: number;
  /** Entries dropped: an unknown protocol, an impossible state or flags, an unknown option. */
  ignored: number;
}

/** The receiving side. */
export class SyncBackup {
  readonly counts: BackupCounts = { messages: 0, refused: 0, created: 0, updated: 0, ignored: 0 };
  private readonly context: Context;
  private readonly tracker: Tracker;
  private readonly binding: SyncBinding;
  private readonly ftp: FtpHelper;
  private readonly syncId: number;
  private readonly newer: boolean;
  private readonly key = {
    family: 4 as 4 | 6,
    protocol: 0,
    source: new Int32Array(4),
    target: new Int32Array(4),
    sourcePort: 0,
    targetPort: 0,
  };
  private readonly destination = new Int32Array(4);
  /** Of a server's replies by full-NAT. */
  private readonly back = {
    family: 4 as 4 | 6,
    protocol: 0,
    source: this.destination,
    target: new Int32Array(4),
    sourcePort: 0,
    targetPort: 0,
  };
  private readonly known = new Int32Array(4);

  /**
   * @param syncId 0 takes messages of every id
   * @param newer connections that are known here stay as they are
   */
  constructor(
    context: Context,
    tracker: Tracker,
    binding: SyncBinding,
    ftp: FtpHelper,
    syncId: number,
    newer: boolean,
  ) {
    this.context = context;
    this.ftp = ftp;
    this.tracker = tracker;
    this.binding = binding;
    this.syncId = syncId & 0xff;
    this.newer = newer;
  }

  /** A UDP payload arrived. Never throws. */
  receive(bytes: Uint8Array, now: number): void {
    this.context.now = now;
    const message = parse(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
    if (!message || (this.syncId !== 0 && message.syncId !== this.syncId)) {
      this.counts.refused++;
      return;
    }
    // An empty one only says that the master is there.
    if (message.entries.length + message.skipped === 0) return;
    this.counts.messages++;
    this.counts.ignored += message.skipped;
    for (const entry of message.entries) {
      if (acceptable(entry)) this.apply(entry);
      else this.counts.ignored++;
    }
  }

  private apply(entry: SyncEntry): void {
    const { connections, settings, now } = this.context;
    const { key, destination } = this;
    const template = (entry.flags & FLAG.template) !== 0;
    key.family = entry.family;
    key.protocol = entry.protocol;
    read(entry.family, entry.client, key.source);
    read(entry.family, entry.virtual, key.target);
    read(entry.family, entry.destination, destination);
    key.sourcePort = entry.clientPort;
    key.targetPort = entry.virtualPort;
    let c = template
      ? connections.lookupTemplate(key, entry.engine && text(entry.engine.data))
      : connections.lookupIn(key);
    if (c !== 0 && this.newer) return;
    if (c !== 0 && !template && !this.leadsTo(c, entry)) {
      // An inactive one is the end of a connection that was replaced here already.
      if (entry.flags & FLAG.inactive) return;
      if (connections.children(c) === 0) connections.expireNow(c, now);
      c = 0;
    }
    if (c === 0) {
      if (entry.local && !this.clear(entry)) return;
      c = this.make(entry);
      this.counts.created++;
    } else {
      this.update(c, entry);
      this.counts.updated++;
    }
    if (entry.sequence) {
      const [inward, outward] = entry.sequence;
      connections.rareData(c, true)!.sequence = [
        entry.flags & FLAG.inSeq
          ? { ...inward, delta: inward.delta | 0, previousDelta: inward.previousDelta | 0 }
          : undefined,
        entry.flags & FLAG.outSeq
          ? { ...outward, delta: outward.delta | 0, previousDelta: outward.previousDelta | 0 }
          : undefined,
      ];
    }
    if (entry.local) {
      connections.setSequenceDelta(c, entry.local.shift | 0);
      if (entry.local.serverIsn !== undefined) connections.setServerIsn(c, entry.local.serverIsn);
    }
    connections.setInPackets(c, Number(settings.sync_threshold.trim().split(/\s+/)[0]));
    connections.setState(c, entry.state);
    connections.setTimeoutMs(c, this.timeoutMs(entry, template));
    connections.restart(c, now);
  }

  /** Whether a known connection goes to the same server, by the same way. */
  private leadsTo(c: number, entry: SyncEntry): boolean {
    const { connections } = this.context;
    connections.copyDestination(c, this.known);
    if (connections.destinationPort(c) !== entry.destinationPort || !equalWords(this.known, this.destination))
      return false;
    this.readLocal(entry);
    connections.copyLocal(c, this.known);
    return connections.localPort(c) === this.back.targetPort && equalWords(this.known, this.back.target);
  }

  /** The local end of an entry, zeros without one. */
  private readLocal({ family, protocol, destinationPort, local }: SyncEntry): void {
    const { back } = this;
    back.family = family;
    back.protocol = protocol;
    back.sourcePort = destinationPort;
    back.targetPort = local?.port ?? 0;
    if (local) read(family, local.address, back.target);
    else back.target.fill(0);
  }

  /** Frees the local end of an entry; false when another connection keeps it, and this one is not made. */
  private clear(entry: SyncEntry): boolean {
    this.readLocal(entry);
    const other = this.context.connections.lookupLocal(this.back);
    if (other === 0) return true;
    // The end of a connection that was replaced here already.
    if (this.newer || isEnding(entry)) return false;
    this.tracker.end(other);
    return true;
  }

  private make(entry: SyncEntry): number {
    const { connections, now } = this.context;
    const c = connections.make({
      family: entry.family,
      protocol: entry.protocol,
      client: this.key.source,
      clientPort: entry.clientPort,
      virtual: this.key.target,
      virtualPort: entry.virtualPort,
      destinationFamily: entry.family,
      destination: this.destination,
      destinationPort: entry.destinationPort,
      flags: (entry.flags & KEPT_FLAGS) | FLAG.sync,
      fwmark: entry.fwmark,
    });
    if (entry.local) connections.hashLocal(c, this.back.target, this.back.targetPort);
    this.binding.bind(c);
    this.ftp.watch(c);
    if (entry.engine && entry.flags & FLAG.template) {
      connections.rareData(c, true)!.engine = { name: entry.engine.name, data: text(entry.engine.data) };
    }
    connections.hash(c, now);
    return c;
  }

  private update(c: number, entry: SyncEntry): void {
    const { connections, table } = this.context;
    const template = (entry.flags & FLAG.template) !== 0;
    if (!template) this.tracker.setActive(c, !(entry.flags & FLAG.inactive));
    connections.setFlags(c, (connections.flags(c) & ~UPDATED_FLAGS) | (entry.flags & UPDATED_FLAGS));
    if (!table.server(connections.server(c))) this.binding.bind(c);
  }

  private timeoutMs(entry: SyncEntry, template: boolean): number {
    if (entry.timeoutS) return entry.timeoutS * 1000;
    return template ? TEMPLATE_MS : this.tracker.stateTimeoutMs(entry.protocol, entry.state);
  }
}

function read(family: 4 | 6, bytes: Uint8Array, into: Int32Array): void {
  into.fill(0);
  readWords(family, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, into);
}

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
