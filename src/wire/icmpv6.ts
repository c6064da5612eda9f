/**
 * ICMPv6, RFC 4443. Its checksum covers the IPv6 pseudo header. Neighbour discovery is in `ndp.ts`.
 *
 *     0      1      2          4      8
 *     | type | code | checksum | rest | body: data of an echo, or the start of the packet that an error is about
 * @module
 */
import { checksum as check, fold, sum } from "./checksum.ts";

export const AT = { type: 0, code: 1, checksum: 2, rest: 4, id: 4, sequence: 6, mtu: 4 } as const;
/** Length of the header, in bytes; behind it the body. */
export const HEADER_LEN = 8;

export const TYPE = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echo: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
} as const;

/** Codes of "destination unreachable". */
export const UNREACHABLE = { noRoute: 0, adminProhibited: 1, scope: 2, address: 3, port: 4 } as const;

/** Codes of "time exceeded". */
export const TIME_EXCEEDED = { hopLimit: 0, reassembly: 1 } as const;

export const type = (v: DataView, at: number): number => v.getUint8(at + AT.type);
export const code = (v: DataView, at: number): number => v.getUint8(at + AT.code);
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);
/** The four bytes before the body, u32. */
export const rest = (v: DataView, at: number): number => v.getUint32(at + AT.rest);
/** Identifier of an echo. */
export const id = (v: DataView, at: number): number => v.getUint16(at + AT.id);
/** Sequence number of an echo. */
export const sequence = (v: DataView, at: number): number => v.getUint16(at + AT.sequence);
/** MTU of "packet too big", bytes, u32. */
export const mtu = (v: DataView, at: number): number => v.getUint32(at + AT.mtu);

/** True for the types that quote a packet: the high bit is 0 (RFC 4443 §2.1). */
export const isError = (type: number): boolean => type < 128;

/** What a valid ICMPv6 message says. `bodyLen` counts the bytes behind the header. */
export type Icmpv6 =
  | {
      readonly kind: "echo" | "echoReply";
      readonly id: number;
      readonly sequence: number;
      readonly bodyLen: number;
    }
  | {
      readonly kind: "unreachable" | "timeExceeded";
      /** See {@link UNREACHABLE}, {@link TIME_EXCEEDED}. */ readonly code: number;
      readonly bodyLen: number;
    }
  | { readonly kind: "packetTooBig" /** Bytes, u32. */; readonly mtu: number; readonly bodyLen: number }
  | {
      readonly kind: "parameterProblem";
      readonly code: number;
      /** Byte of the quoted packet, u32. */ readonly pointer: number;
      readonly bodyLen: number;
    }
  | {
      readonly kind: "other";
      readonly type: number;
      readonly code: number;
      /** u32. */ readonly rest: number;
      readonly bodyLen: number;
    };

/** Reads the message between `at` and `end`; undefined when it is short. Says nothing of the checksum. */
export function parse(v: DataView, at: number, end: number): Icmpv6 | undefined {
  if (end - at < HEADER_LEN) return undefined;
  const bodyLen = end - at - HEADER_LEN;
  const t = type(v, at);
  const c = code(v, at);
  switch (t) {
    case TYPE.echo:
    case TYPE.echoReply: {
      const kind = t === TYPE.echo ? "echo" : "echoReply";
      return { kind, id: id(v, at), sequence: sequence(v, at), bodyLen };
    }
    case TYPE.unreachable:
      return { kind: "unreachable", code: c, bodyLen };
    case TYPE.timeExceeded:
      return { kind: "timeExceeded", code: c, bodyLen };
    case TYPE.packetTooBig:
      return { kind: "packetTooBig", mtu: mtu(v, at), bodyLen };
    case TYPE.parameterProblem:
      return { kind: "parameterProblem", code: c, pointer: rest(v, at), bodyLen };
    default:
      return { kind: "other", type: t, code: c, rest: rest(v, at), bodyLen };
  }
}

function restOf(icmp: Icmpv6): number {
  switch (icmp.kind) {
    case "echo":
    case "echoReply":
      return ((icmp.id << 16) | icmp.sequence) >>> 0;
    case "packetTooBig":
      return icmp.mtu;
    case "parameterProblem":
      return icmp.pointer;
    case "other":
      return icmp.rest;
    default:
      return 0;
  }
}

/** Writes header and checksum; the body already lies at `at + HEADER_LEN`. `pseudoSum` is `pseudo6` of `checksum.ts`. */
export function emit(icmp: Icmpv6, v: DataView, at: number, pseudoSum: number): void {
  v.setUint8(at + AT.type, icmp.kind === "other" ? icmp.type : TYPE[icmp.kind]);
  v.setUint8(at + AT.code, "code" in icmp ? icmp.code : 0);
  v.setUint32(at + AT.rest, restOf(icmp));
  setChecksum(v, at, HEADER_LEN + icmp.bodyLen, pseudoSum);
}

/** Computes the checksum of a message of `length` bytes and stores it. */
export function setChecksum(v: DataView, at: number, length: number, pseudoSum: number): void {
  v.setUint16(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, check(v, at, length, pseudoSum));
}

/** True when the checksum of a message of `length` bytes is right. */
export function checksumOk(v: DataView, at: number, length: number, pseudoSum: number): boolean {
  return fold(sum(v, at, length, pseudoSum)) === 0xffff;
}
