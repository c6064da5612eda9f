/**
 * Services by firewall mark: netfilter marks packets after TC ingress has seen them. Where ip_vs would look at them, before local
 * delivery, a rule of ours sends a copy of marked ones to a device of ours, lvsd0, on whose way out a BPF program waits. Only packets
 * that begin a connection take this way; the others are known by their addresses.
 * @module
 */
import { spawnSync } from "node:child_process";
import { UnsupportedError } from "../../core/errors.ts";
import { type Interface, interfaces } from "../../sys/bpf/interfaces.ts";
import { SysError } from "../../sys/libc.ts";
import { NETLINK, NetlinkSocket } from "../../sys/netlink.ts";
import { parseAddress } from "../../wire/address.ts";
import { LITTLE_ENDIAN, NetlinkWriter } from "../../wire/netlink.ts";
import { HOOK } from "../../wire/nfqueue.ts";
import { META, NFPROTO, TableWriter } from "../../wire/nftables.ts";
import type { MarkChange } from "./rules.ts";

/** The two ends of the device pair. */
export const MARK_DEVICE = "lvsd0";
const OTHER_END = "lvsd1";
/** Name of the tables. */
const TABLE = "lvsd-marks";
/** Where ip_vs has its hook. */
const LOCAL_IN_PRIORITY = 98;
/** Nobody has them; packets to them leave the device all the same. */
const GATEWAY = { 4: "169.254.76.83", 6: "fe80::6c76:7364" } as const;
/** skb->priority of what the programs have dealt with, and gave to the stack (PRIORITY_DONE, bpf/output.h). */
const DONE = 0x6c767302;
/** Copies leave the device whole. */
const LONGEST = 65535;
const MARK_TYPE = 19;
const CHUNK = 1000;

/** Marks of services, by family. */
export type Marks = Readonly<Record<4 | 6, readonly number[]>>;

/** Whether an interface is one of ours, which no traffic comes in by. */
export const isMarkDevice = ({ name }: Interface): boolean => name === MARK_DEVICE || name === OTHER_END;

/** Brings packets with these marks, and no others, to the device. Makes device and tables, or removes them. @throws UnsupportedError */
export function bringMarks(marks: Marks): void {
  if (marks[4].length + marks[6].length === 0) {
    forgetMarks();
    return;
  }
  const device = ensureDevice();
  try {
    for (const family of [4, 6] as const) {
      if (marks[family].length > 0) writeTable(family, marks[family], device);
      else removeTable(family);
    }
  } catch (error) {
    if (!(error instanceof SysError) || error.code === "EPERM") throw error;
    throw new UnsupportedError(
      `services by firewall mark need nftables with "dup" (CONFIG_NFT_DUP_IPV4, CONFIG_NFT_DUP_IPV6; ${error.code}); the engine and the kernel plane need neither`,
    );
  }
}

/** Brings single marks in line where tables are. @throws SysError when they are not */
export function changeMarks(changes: readonly MarkChange[]): void {
  for (const family of [4, 6] as const) {
    const some = changes.filter((change) => change.family === family);
    if (some.length === 0) continue;
    transaction(family, (t) => {
      let last = 0;
      for (const { mark, by } of some) last = t.elements("marks", [word(mark)], by > 0 ? "add" : "delete");
      return last;
    });
  }
}

/** Removes tables and device. */
export function forgetMarks(): void {
  for (const family of [4, 6] as const) removeTable(family);
  if (interfaces().some(isMarkDevice)) ip(`link delete ${MARK_DEVICE}`);
}

function ip(line: string): void {
  const { status, stderr, error } = spawnSync("ip", line.split(" "), { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${line}: ${error?.message ?? stderr.trim()}`);
}

/** @returns its index */
function ensureDevice(): number {
  const find = (): Interface | undefined => interfaces().find(({ name }) => name === MARK_DEVICE);
  if (!find()) ip(`link add ${MARK_DEVICE} type veth peer name ${OTHER_END}`);
  ip(`link set ${MARK_DEVICE} mtu ${LONGEST} arp off up`);
  ip(`link set ${OTHER_END} mtu ${LONGEST} up`);
  return find()!.index;
}

const word = (n: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n, LITTLE_ENDIAN);
  return bytes;
};

function transaction(family: 4 | 6, body: (t: TableWriter) => number): void {
  const socket = new NetlinkSocket(NETLINK.NETFILTER);
  try {
    socket.setBuffers(4 << 20, 4 << 20);
    const w = new NetlinkWriter(1 << 16);
    const t = new TableWriter(w, family === 4 ? NFPROTO.IPV4 : NFPROTO.IPV6, TABLE, () => socket.nextSeq());
    t.batchBegin();
    const last = body(t);
    t.batchEnd();
    socket.request(w.bytes, last);
  } finally {
    socket.close();
  }
}

/** Replaces the table, in one step. */
function writeTable(family: 4 | 6, marks: readonly number[], device: number): void {
  transaction(family, (t) => {
    t.table(0, false);
    t.deleteTable();
    t.table(0, false);
    t.set("marks", MARK_TYPE, 4, 1);
    for (let i = 0; i < marks.length; i += CHUNK)
      t.elements("marks", marks.slice(i, i + CHUNK).map(word), "add");
    t.chain("local_in", HOOK.LOCAL_IN, LOCAL_IN_PRIORITY);
    t.rule("local_in", (e) => e.metaIs(META.PRIORITY, word(DONE)).accept());
    const gateway = parseAddress(GATEWAY[family])!.bytes;
    return t.rule("local_in", (e) => e.metaIn(META.MARK, "marks").duplicate(gateway, word(device)).drop());
  });
}

function removeTable(family: 4 | 6): void {
  try {
    transaction(family, (t) => t.deleteTable());
  } catch (error) {
    if (!(error instanceof SysError)) throw error; // it is not there, or nftables is not
  }
}
