/**
 * ICMP, RFC 792 (and RFC 1191 for the MTU of "fragmentation needed").
 *
 *     0      1      2          4      8
 *     | type | code | checksum | rest | body: data of an echo, or the start of the packet that an error is about
 * @module
 */
import { format4, parse4 } from "./address.ts";
import { checksum as check, fold, sum } from "./checksum.ts";

export const AT = { type: 0, code: 1, checksum: 2, rest: 4, id: 4, sequence: 6, mtu: 6 } as const;
/** Length of the header, in bytes; behind it the body. */
export const HEADER_LEN = 8;

export const TYPE = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echo: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

/** Codes of "destination unreachable". */
export const UNREACHABLE = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  adminProhibited: 13,
} as const;

/** Codes of "time exceeded". */
export const TIME_EXCEEDED = { ttl: 0, reassembly: 1 } as const;

export const type = (v: DataView, at: number): number => v.getUint8(at + AT.type);
export const code = (v: DataView, at: number): number => v.getUint8(at + AT.code);
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);
/** The four bytes before the body, u32. */
export const rest = (v: DataView, at: number): number => v.getUint32(at + AT.rest);
/** Identifier of an echo. */
export const id = (v: DataView, at: number): number => v.getUint16(at + AT.id);
/** Sequence number of an echo. */
export const sequence = (v: DataView, at: number): number => v.getUint16(at + AT.sequence);
/** Next-hop MTU of "fragmentation needed", bytes; 0 from routers older than RFC 1191. */
export const mtu = (v: DataView, at: number): number => v.getUint16(at + AT.mtu);

/** True for the types that quote a packet. */
export function isError(type: number): boolean {
  return (
    type === TYPE.unreachable ||
    type === TYPE.sourceQuench ||
    type === TYPE.redirect ||
    type === TYPE.timeExceeded ||
    type === TYPE.parameterProblem
  );
}

/** What a valid ICMP message says. `bodyLen` counts the bytes behind the header. */
export type Icmp =
  | {
      readonly kind: "echo" | "echoReply";
      readonly id: number;
      readonly sequence: number;
      readonly bodyLen: number;
    }
  | {
      readonly kind: "unreachable";
      /** See {@link UNREACHABLE}. */
      readonly code: number;
      /** Bytes; 0 unless the code is `fragmentationNeeded`. */
      readonly mtu: number;
      readonly bodyLen: number;
    }
  | { readonly kind: "sourceQuench"; readonly bodyLen: number }
  | {
      readonly kind: "redirect";
      readonly code: number;
      /** Dotted quad. */ readonly gateway: string;
      readonly bodyLen: number;
    }
  | { readonly kind: "timeExceeded"; readonly code: number; readonly bodyLen: number }
  | {
      readonly kind: "parameterProblem";
      readonly code: number;
      /** Byte of the quoted packet. */ readonly pointer: number;
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
export function parse(v: DataView, at: number, end: number): Icmp | undefined {
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
      return {
        kind: "unreachable",
        code: c,
        mtu: c === UNREACHABLE.fragmentationNeeded ? mtu(v, at) : 0,
        bodyLen,
      };
    case TYPE.sourceQuench:
      return { kind: "sourceQuench", bodyLen };
    case TYPE.redirect:
      return { kind: "redirect", code: c, gateway: format4(rest(v, at)), bodyLen };
    case TYPE.timeExceeded:
      return { kind: "timeExceeded", code: c, bodyLen };
    case TYPE.parameterProblem:
      return { kind: "parameterProblem", code: c, pointer: v.getUint8(at + AT.rest), bodyLen };
    default:
      return { kind: "other", type: t, code: c, rest: rest(v, at), bodyLen };
  }
}

function restOf(icmp: Icmp): number {
  switch (icmp.kind) {
    case "echo":
    case "echoReply":
      return ((icmp.id << 16) | icmp.sequence) >>> 0;
    case "unreachable":
      return icmp.mtu;
    case "redirect": {
      const gateway = parse4(icmp.gateway);
      if (gateway === undefined) throw new RangeError(`"${icmp.gateway}" is not an IPv4 address`);
      return gateway;
    }
    case "parameterProblem":
      return (icmp.pointer << 24) >>> 0;
    case "other":
      return icmp.rest;
    default:
      return 0;
  }
}

/** Writes header and checksum; the body already lies at `at + HEADER_LEN`. */
export function emit(icmp: Icmp, v: DataView, at: number): void {
  v.setUint8(at + AT.type, icmp.kind === "other" ? icmp.type : TYPE[icmp.kind]);
  v.setUint8(at + AT.code, "code" in icmp ? icmp.code : 0);
  v.setUint32(at + AT.rest, restOf(icmp));
  setChecksum(v, at, HEADER_LEN + icmp.bodyLen);
}

/** Computes the checksum of a message of `length` bytes and stores it. */
export function setChecksum(v: DataView, at: number, length: number): void {
  v.setUint16(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, check(v, at, length));
}

/** True when the checksum of a message of `length` bytes is right. */
export function checksumOk(v: DataView, at: number, length: number): boolean {
  return fold(sum(v, at, length)) === 0xffff;
}
