/**
 * Messages of nfnetlink_queue (`include/uapi/linux/netfilter/nfnetlink_queue.h`): packets that a rule hands to a process, and
 * the process's verdicts. Numbers inside are big-endian.
 * @module
 */
import { HEADER_LEN, LITTLE_ENDIAN, type NetlinkWriter, NLM_F } from "./netlink.ts";

const SUBSYS_QUEUE = 3;
const MSG = {
  PACKET: (SUBSYS_QUEUE << 8) | 0,
  VERDICT: (SUBSYS_QUEUE << 8) | 1,
  CONFIG: (SUBSYS_QUEUE << 8) | 2,
  VERDICT_BATCH: (SUBSYS_QUEUE << 8) | 3,
} as const;
const NFQA = { PACKET_HDR: 1, VERDICT_HDR: 2, MARK: 3, PAYLOAD: 10 } as const;
const CFG = { CMD: 1, PARAMS: 2, QUEUE_MAXLEN: 3, MASK: 4, FLAGS: 5 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
/** `struct nfgenmsg`: family, version, big-endian queue number. */
const NFGEN_LEN = 4;

/** Netfilter hooks as packet messages number them. */
export const HOOK = { PREROUTING: 0, LOCAL_IN: 1, FORWARD: 2, LOCAL_OUT: 3, POSTROUTING: 4 } as const;

/** Verdict numbers. */
export const NF = { DROP: 0, ACCEPT: 1 } as const;

/** Binds a queue: whole packets, at most `maxLength` waiting. Segmented and with checksums completed by the kernel. */
export function emitBind(w: NetlinkWriter, queue: number, maxLength: number, seq: number): void {
  const header = [0, 0, queue >> 8, queue & 0xff];
  w.begin(MSG.CONFIG, NLM_F.REQUEST, seq).raw(header).bytesAttr(CFG.CMD, [COMMAND_BIND, 0, 0, 0]);
  w.be32(CFG.QUEUE_MAXLEN, maxLength);
  w.bytesAttr(CFG.PARAMS, [0, 0, 0xff, 0xff, COPY_PACKET]).end();
}

/** Turns flags of the queue off; asked for with an acknowledgement, it also proves that the queue is bound. */
export function emitFlags(w: NetlinkWriter, queue: number, flags: number, mask: number, seq: number): void {
  w.begin(MSG.CONFIG, NLM_F.REQUEST | NLM_F.ACK, seq).raw([0, 0, queue >> 8, queue & 0xff]);
  w.be32(CFG.FLAGS, flags).be32(CFG.MASK, mask).end();
}

/** A packet message as the fast path reads it; one object is used for message after message. */
export interface QueuedPacket {
  id: number;
  /** One of {@link HOOK}. */
  hook: number;
  /** EtherType: 0x0800, 0x86dd. */
  protocol: number;
  mark: number;
  /** Where the IP packet lies in the buffer. */
  at: number;
  end: number;
}

/** A fresh one, all zero. */
export const queuedPacket = (): QueuedPacket => ({ id: 0, hook: 0, protocol: 0, mark: 0, at: 0, end: 0 });

/** Reads the packet message at `at`, up to `end`, into `into`: false when it is something else or broken. */
export function readPacket(v: DataView, at: number, end: number, into: QueuedPacket): boolean {
  if (end - at < HEADER_LEN + NFGEN_LEN) return false;
  if (v.getUint16(at + 4, LITTLE_ENDIAN) !== MSG.PACKET) return false;
  const stop = at + v.getUint32(at, LITTLE_ENDIAN);
  if (stop > end) return false;
  into.mark = 0;
  into.at = 0;
  let known = false;
  let p = at + HEADER_LEN + NFGEN_LEN;
  while (p + 4 <= stop) {
    const length = v.getUint16(p, LITTLE_ENDIAN);
    if (length < 4 || p + length > stop) return false;
    const type = v.getUint16(p + 2, LITTLE_ENDIAN) & 0x3fff;
    if (type === NFQA.PACKET_HDR && length >= 11) {
      into.id = v.getUint32(p + 4);
      into.protocol = v.getUint16(p + 8);
      into.hook = v.getUint8(p + 10);
      known = true;
    } else if (type === NFQA.MARK && length >= 8) {
      into.mark = v.getUint32(p + 4);
    } else if (type === NFQA.PAYLOAD) {
      into.at = p + 4;
      into.end = p + length;
    }
    p += (length + 3) & ~3;
  }
  return known && into.at > 0;
}

/** Bytes that {@link writeVerdict} writes. */
export const VERDICT_LEN = HEADER_LEN + NFGEN_LEN + 12;
/** Bytes that {@link writeVerdictHeader} writes before the packet's own bytes. */
export const VERDICT_HEADER_LEN = VERDICT_LEN + 4;

function writeStart(v: DataView, at: number, type: number, total: number, queue: number): void {
  v.setUint32(at, total, LITTLE_ENDIAN);
  v.setUint16(at + 4, type, LITTLE_ENDIAN);
  v.setUint16(at + 6, NLM_F.REQUEST, LITTLE_ENDIAN);
  v.setUint32(at + 8, 0, LITTLE_ENDIAN);
  v.setUint32(at + 12, 0, LITTLE_ENDIAN);
  v.setUint32(at + 16, queue & 0xffff); // family 0, version 0, queue number
}

function writeVerdictAttribute(v: DataView, at: number, verdict: number, id: number): void {
  v.setUint16(at, 12, LITTLE_ENDIAN);
  v.setUint16(at + 2, NFQA.VERDICT_HDR, LITTLE_ENDIAN);
  v.setUint32(at + 4, verdict);
  v.setUint32(at + 8, id);
}

/** Writes the verdict on one packet, or with `batch` on every packet of the queue up to `id`. */
export function writeVerdict(
  v: DataView,
  at: number,
  queue: number,
  verdict: number,
  id: number,
  batch: boolean,
): void {
  writeStart(v, at, batch ? MSG.VERDICT_BATCH : MSG.VERDICT, VERDICT_LEN, queue);
  writeVerdictAttribute(v, at + HEADER_LEN + NFGEN_LEN, verdict, id);
}

/** Writes the verdict "accept, with these bytes" up to where the `payloadLen` bytes (padded to four) must follow. */
export function writeVerdictHeader(
  v: DataView,
  at: number,
  queue: number,
  id: number,
  payloadLen: number,
): void {
  writeStart(v, at, MSG.VERDICT, VERDICT_HEADER_LEN + payloadLen, queue);
  writeVerdictAttribute(v, at + HEADER_LEN + NFGEN_LEN, NF.ACCEPT, id);
  v.setUint16(at + VERDICT_LEN, 4 + payloadLen, LITTLE_ENDIAN);
  v.setUint16(at + VERDICT_LEN + 2, NFQA.PAYLOAD, LITTLE_ENDIAN);
}
