/**
 * A master's messages into the connection table of the BPF programs: parsed and judged here, taken in by a program (bpf/synced.h).
 * @module
 */
import { FLAG } from "../../../core/connections.ts";
import { METHOD_NUMBER } from "../../../core/destination.ts";
import type { BackupCounts } from "../../../core/sync/backup.ts";
import { entryOf } from "../../../core/sync/entry.ts";
import { acceptable, KEPT_FLAGS, serverOf, TEMPLATE_MS } from "../../../core/sync/taking.ts";
import { call } from "../../../sys/bpf/program.ts";
import { readWords } from "../../../wire/address.ts";
import { LITTLE_ENDIAN } from "../../../wire/netlink.ts";
import { parse, type SyncEntry } from "../../../wire/sync.ts";
import type { SyncReceiver } from "../../sync/site.ts";
import { CALL, CONFIG, CONN_FLAG, LIMIT, SYNC_ENTRY, SYNC_MARK, SYNC_OUTCOME } from "../layout.ts";
import type { Maps } from "../maps.ts";
import type { Rules } from "../rules.ts";
import { packShift } from "./shift.ts";
import { SlabTable } from "./slab-table.ts";

const PROTO = { tcp: 6, sctp: 132 } as const;
/** Control connections there are watched. */
const FTP_PORT = 21;
const NO_ADDRESS = new Uint8Array(0);
const MAX_TIMEOUT_MS = 0xffffffff;

/** Where connections go. */
export interface Inbox {
  readonly maps: Maps;
  /** Descriptor of the program that takes entries; the caller's. */
  readonly program: number;
  readonly rules: Rules;
}

/** Puts connections into the table of one set of maps. */
export class EntryWriter {
  readonly #inbox: Inbox;
  readonly #v: DataView;
  readonly #bytes: Uint8Array;
  /** `sync_calls`. */
  readonly #calls: DataView;
  readonly #callBytes: Uint8Array;
  readonly #virtual = new Int32Array(4);
  readonly #destination = new Int32Array(4);
  readonly #threshold: number;
  #count = 0;
  /** By SYNC_OUTCOME, since the last {@link flush}. */
  readonly outcomes = new Uint32Array(8);

  constructor(inbox: Inbox) {
    this.#inbox = inbox;
    const { view, bytes } = inbox.maps.array("sync_inbox");
    this.#v = view;
    this.#bytes = bytes;
    const calls = inbox.maps.array("sync_calls");
    this.#calls = calls.view;
    this.#callBytes = calls.bytes;
    this.#threshold = Number(inbox.rules.settings.sync_threshold.trim().split(/\s+/)[0]);
  }

  /** Adds one, with `newOnly` if it is not known here; it is in the table after {@link flush}. */
  add(entry: SyncEntry, newOnly = false): void {
    if (this.#count === LIMIT.inbox) this.#run();
    const v = this.#v;
    const place = this.#count++;
    const at = place * SYNC_ENTRY.size;
    const { maps, rules } = this.#inbox;
    const template = (entry.flags & FLAG.template) !== 0;
    const word = (field: keyof typeof SYNC_ENTRY.at, value: number): void =>
      v.setUint32(at + SYNC_ENTRY.at[field], value, LITTLE_ENDIAN);
    this.#address(at + SYNC_ENTRY.at.client, entry.client);
    this.#address(at + SYNC_ENTRY.at.virtual, entry.virtual);
    this.#address(at + SYNC_ENTRY.at.dest_address, entry.destination);
    words(entry.family, entry.virtual, this.#virtual);
    words(entry.family, entry.destination, this.#destination);
    const server = serverOf(rules.table, entry, this.#virtual, this.#destination);
    // Templates of a firewall mark: the programs have it in the processor's order.
    if (entry.protocol === 0) word("virtual", this.#virtual[0]!);
    word("flags", (entry.flags & KEPT_FLAGS) | CONN_FLAG.sync);
    word("state", entry.state);
    word("fwmark", entry.fwmark);
    word(
      "timeout_ms",
      entry.timeoutS ? Math.min(entry.timeoutS * 1000, MAX_TIMEOUT_MS) : usualMs(maps, entry, template),
    );
    word("packets", this.#threshold);
    word("service", server ? rules.serviceNumber(server.service) : 0);
    word("dest", server ? rules.destinationNumber(server) : 0);
    v.setUint16(at + SYNC_ENTRY.at.client_port, entry.clientPort);
    v.setUint16(at + SYNC_ENTRY.at.virtual_port, entry.virtualPort);
    v.setUint16(at + SYNC_ENTRY.at.dest_port, entry.destinationPort);
    v.setUint8(at + SYNC_ENTRY.at.protocol, entry.protocol);
    v.setUint8(at + SYNC_ENTRY.at.family, entry.family);
    let marks = 0;
    const { local } = entry;
    v.setUint16(at + SYNC_ENTRY.at.local_port, local?.port ?? 0);
    const shift = local ? local.shift : shiftOf(entry);
    this.#address(at + SYNC_ENTRY.at.local, local?.address ?? NO_ADDRESS);
    if (local?.serverIsn !== undefined) marks |= SYNC_MARK.serverIsn;
    if (shift !== undefined) {
      marks |= SYNC_MARK.sequence;
      word("seq_delta", shift);
      word("server_isn", (local ? local.serverIsn : entry.sequence![1].initial) ?? 0);
    }
    if (template && entry.engine) {
      marks |= SYNC_MARK.call;
      this.#call(place, entry, entry.engine.data);
    }
    word("marks", marks);
    word("outcome", newOnly ? SYNC_OUTCOME.waitsNew : SYNC_OUTCOME.waits);
  }

  /** The call that the template at a place of the inbox is of, as the programs look for it. */
  #call(place: number, entry: SyncEntry, id: Uint8Array): void {
    const at = place * CALL.size;
    const bytes = this.#callBytes;
    bytes.fill(0, at, at + CALL.size);
    bytes.set(entry.client, at + CALL.at.source);
    bytes.set(entry.virtual, at + CALL.at.target);
    if (entry.protocol === 0) this.#calls.setUint32(at + CALL.at.target, this.#virtual[0]!, LITTLE_ENDIAN);
    this.#calls.setUint16(at + CALL.at.target_port, entry.virtualPort);
    bytes[at + CALL.at.protocol] = entry.protocol;
    bytes[at + CALL.at.family] = entry.family;
    this.#calls.setUint32(at + CALL.at.length, id.length, LITTLE_ENDIAN);
    bytes.set(id, at + CALL.at.id);
  }

  #address(at: number, bytes: Uint8Array): void {
    this.#bytes.fill(0, at, at + 16);
    this.#bytes.set(bytes, at);
  }

  /** Everything that was added is in the table afterwards; {@link outcomes} tells. */
  flush(): void {
    this.outcomes.fill(0);
    this.#run();
  }

  #run(): void {
    if (this.#count === 0) return;
    if (this.#count < LIMIT.inbox)
      this.#v.setUint32(
        this.#count * SYNC_ENTRY.size + SYNC_ENTRY.at.outcome,
        SYNC_OUTCOME.none,
        LITTLE_ENDIAN,
      );
    call(this.#inbox.program);
    for (let i = 0; i < this.#count; i++)
      this.outcomes[this.#v.getUint32(i * SYNC_ENTRY.size + SYNC_ENTRY.at.outcome, LITTLE_ENDIAN) & 7]!++;
    this.#count = 0;
  }
}

/** The receiving side, as {@link SyncBackup} of core. */
export class MapReceiver implements SyncReceiver {
  readonly counts: BackupCounts = { messages: 0, refused: 0, created: 0, updated: 0, ignored: 0 };
  readonly #writer: () => EntryWriter | undefined;
  readonly #made: (count: number) => void;
  readonly #syncId: number;
  readonly #newOnly: boolean;

  /**
   * `syncId` 0 takes messages of every id; `writer` gives that of the maps that are there, `made` is told of connections that were not
   * in the table. With `newOnly` those that are in it stay as they are.
   */
  constructor(
    writer: () => EntryWriter | undefined,
    syncId: number,
    made: (count: number) => void,
    newOnly = false,
  ) {
    this.#newOnly = newOnly;
    this.#writer = writer;
    this.#made = made;
    this.#syncId = syncId & 0xff;
  }

  receive(bytes: Uint8Array): void {
    const message = parse(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
    if (!message || (this.#syncId !== 0 && message.syncId !== this.#syncId)) {
      this.counts.refused++;
      return;
    }
    // An empty one only says that the master is there.
    if (message.entries.length + message.skipped === 0) return;
    this.counts.messages++;
    this.counts.ignored += message.skipped;
    const writer = this.#writer();
    if (!writer) {
      this.counts.ignored += message.entries.length;
      return;
    }
    for (const entry of message.entries) {
      if (acceptable(entry)) writer.add(entry, this.#newOnly);
      else this.counts.ignored++;
    }
    writer.flush();
    const { outcomes } = writer;
    this.#made(outcomes[SYNC_OUTCOME.made]!);
    this.counts.created += outcomes[SYNC_OUTCOME.made]!;
    this.counts.updated += outcomes[SYNC_OUTCOME.updated]!;
    this.counts.ignored += outcomes[SYNC_OUTCOME.failed]!;
  }
}

/** Connections of a master whose server was not in the table when they came are bound to it, now that it may be. */
export function bindStrays(maps: Maps, writer: EntryWriter): void {
  const table = new SlabTable(maps);
  table.scan(1, table.end, (c) => {
    const flags = table.flags(c);
    if (!(flags & CONN_FLAG.sync) || !(flags & CONN_FLAG.hashed) || table.server(c) !== 0) return;
    if ((flags & CONN_FLAG.methodMask) === METHOD_NUMBER.bypass) return;
    writer.add(entryOf(table, c));
  });
  writer.flush();
}

function words(family: 4 | 6, bytes: Uint8Array, into: Int32Array): void {
  into.fill(0);
  readWords(family, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, into);
}

/** What the FTP helper added to the server's stream, as the programs keep it; undefined where it does not. */
function shiftOf({ flags, protocol, virtualPort, sequence }: SyncEntry): number | undefined {
  if (!(flags & FLAG.outSeq) || !sequence || protocol !== PROTO.tcp || virtualPort !== FTP_PORT)
    return undefined;
  return packShift(sequence[1]);
}

/** The timeout of a state, where the message tells none (version 0). */
function usualMs(maps: Maps, { protocol, state }: SyncEntry, template: boolean): number {
  if (template) return TEMPLATE_MS;
  const { view } = maps.array("config");
  if (protocol === PROTO.tcp) return view.getUint32(CONFIG.at.tcp_ms + 4 * state, LITTLE_ENDIAN);
  if (protocol === PROTO.sctp) return view.getUint32(CONFIG.at.sctp_ms + 4 * state, LITTLE_ENDIAN);
  return view.getUint32(CONFIG.at.udp_ms, LITTLE_ENDIAN);
}
