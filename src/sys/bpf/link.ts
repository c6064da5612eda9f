/**
 * Programs on interfaces: TCX and XDP links, and classic filters on clsact where the kernel has no TCX (before 6.6).
 *
 * Everything is about interfaces of the network namespace that this thread is in. A link is a descriptor: what it attaches stays
 * while it is open or pinned. A classic filter stays until it is taken away.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { lastErrno, SysError } from "../libc.ts";
import { Attr, CMD, memory } from "./call.ts";
import { libbpf, succeeded } from "./libbpf.ts";
import { xdpRefusal } from "./xdp-refusal.ts";

/** Where a TC program sits. */
export type Direction = "ingress" | "egress";

const BPF_XDP = 37;
const TCX: Record<Direction, number> = { ingress: 46, egress: 47 };
/** `XDP_FLAGS_DRV_MODE`: never the generic mode, which loses large packets. */
const XDP_FLAGS_DRV_MODE = 1 << 2;
const EINVAL = 22;
const ENOENT = 2;
const EEXIST = 17;
const EBUSY = 16;

/** Attaches a TC program by a link. @throws SysError EINVAL from a kernel without TCX */
export function attachTcx(programFd: number, ifindex: number, direction: Direction): number {
  return new Attr(32)
    .u32(0, programFd)
    .u32(4, ifindex)
    .u32(8, TCX[direction])
    .do(CMD.LINK_CREATE, "LINK_CREATE", `attach to ${direction} of interface ${ifindex}`);
}

/** Why the kernel does not take an XDP program, where its error number alone does not say. */
const XDP_REASON: Partial<Record<number, string>> = {
  16: "another XDP program is there already",
  34: "the MTU of the interface or its peer is too large for XDP",
  28: "it has fewer receive queues than its peer has transmit queues",
  95: "its driver has no XDP",
};

/** Attaches an XDP program by a link, in the driver. @throws SysError */
export function attachXdp(programFd: number, ifindex: number): number {
  const attr = new Attr(32).u32(0, programFd).u32(4, ifindex).u32(8, BPF_XDP).u32(12, XDP_FLAGS_DRV_MODE);
  const fd = attr.try(CMD.LINK_CREATE);
  if (fd >= 0) return fd;
  const errno = lastErrno();
  // In our words, and in the driver's.
  const reason = [XDP_REASON[errno], xdpRefusal(programFd, ifindex)].filter(Boolean).join(": ");
  throw new SysError(
    "bpf LINK_CREATE",
    errno,
    `attach XDP to interface ${ifindex}${reason ? ` (${reason})` : ""}`,
  );
}

/** Puts another program into a link, with no packet between the two. @throws SysError */
export function replaceProgram(linkFd: number, programFd: number): void {
  new Attr(16).u32(0, linkFd).u32(4, programFd).do(CMD.LINK_UPDATE, "LINK_UPDATE");
}

/** Takes the program off, whoever holds the link still. @throws SysError */
export function detachLink(linkFd: number): void {
  new Attr(4).u32(0, linkFd).do(CMD.LINK_DETACH, "LINK_DETACH");
}

/** What the kernel says about a link. */
export interface LinkInfo {
  /** `enum bpf_link_type`. */
  readonly type: number;
  readonly programId: number;
  /** 0 when the interface, or its whole namespace, is gone. */
  readonly ifindex: number;
}

/** @throws SysError */
export function linkInfo(fd: number): LinkInfo {
  const info = memory(64);
  new Attr(16).u32(0, fd).u32(4, info.length).u64(8, info).do(CMD.OBJ_GET_INFO_BY_FD, "OBJ_GET_INFO_BY_FD");
  const v = new DataView(info.buffer);
  const word = (at: number): number => v.getUint32(at, LITTLE_ENDIAN);
  return { type: word(0), programId: word(8), ifindex: word(16) };
}

/** Whether this kernel has TCX. Looks at the first interface only, changes nothing. */
export function hasTcx(): boolean {
  const attr = new Attr(64).u32(0, 1).u32(4, TCX.ingress);
  return attr.try(CMD.PROG_QUERY) >= 0 || lastErrno() !== EINVAL;
}

/** Ids of the programs that TCX runs there, in their order. */
export function tcxPrograms(ifindex: number, direction: Direction): number[] {
  const ids = memory(4 * 64);
  const attr = new Attr(64).u32(0, ifindex).u32(4, TCX[direction]).u64(16, ids).u32(24, 64);
  if (attr.try(CMD.PROG_QUERY) < 0) return [];
  const v = new DataView(ids.buffer);
  return Array.from({ length: attr.getU32(24) }, (_, i) => v.getUint32(4 * i, LITTLE_ENDIAN));
}

/** Where our classic filters are: this priority and handle are how they are found again. */
const FILTER = { handle: 1, priority: 0x4c56 } as const;
const BPF_TC_F_REPLACE = 1;
const ATTACH_POINT: Record<Direction, number> = { ingress: 1, egress: 2 };

/** `struct bpf_tc_hook`, `struct bpf_tc_opts`. */
function filterAt(
  ifindex: number,
  direction: Direction,
  programFd = 0,
): [hook: Uint8Array, options: Uint8Array] {
  const hook = memory(24);
  const h = new DataView(hook.buffer);
  h.setUint32(0, 24, LITTLE_ENDIAN);
  h.setUint32(8, ifindex, LITTLE_ENDIAN);
  h.setUint32(12, ATTACH_POINT[direction], LITTLE_ENDIAN);
  const options = memory(32);
  const o = new DataView(options.buffer);
  o.setUint32(0, 32, LITTLE_ENDIAN);
  o.setUint32(8, programFd, LITTLE_ENDIAN);
  o.setUint32(12, programFd ? BPF_TC_F_REPLACE : 0, LITTLE_ENDIAN);
  o.setUint32(20, FILTER.handle, LITTLE_ENDIAN);
  o.setUint32(24, FILTER.priority, LITTLE_ENDIAN);
  return [hook, options];
}

/** Attaches a TC program as a classic filter, in place of the one that we had there. @throws SysError */
export function attachFilter(programFd: number, ifindex: number, direction: Direction): void {
  const what = `attach to ${direction} of interface ${ifindex}`;
  const [hook, options] = filterAt(ifindex, direction, programFd);
  const made = libbpf.tcHookCreate(hook);
  if (made !== -EEXIST && made !== -EBUSY) succeeded("bpf_tc_hook_create", made, what);
  succeeded("bpf_tc_attach", libbpf.tcAttach(hook, options), what);
}

/** Id of our filter's program there; undefined when it has none. */
export function filterProgram(ifindex: number, direction: Direction): number | undefined {
  const [hook, options] = filterAt(ifindex, direction);
  const result = libbpf.tcQuery(hook, options);
  if (result === -ENOENT || result === -EINVAL) {
    succeeded("bpf_tc_query", 0);
    return undefined;
  }
  succeeded("bpf_tc_query", result);
  return new DataView(options.buffer).getUint32(16, LITTLE_ENDIAN);
}

/** Takes our filter away; false when there is none. The clsact qdisc stays, others may use it. @throws SysError */
export function detachFilter(ifindex: number, direction: Direction): boolean {
  if (filterProgram(ifindex, direction) === undefined) return false;
  const [hook, options] = filterAt(ifindex, direction);
  succeeded(
    "bpf_tc_detach",
    libbpf.tcDetach(hook, options),
    `detach from ${direction} of interface ${ifindex}`,
  );
  return true;
}
