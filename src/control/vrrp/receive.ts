/**
 * Whether a received advert is believed: the checks that keepalived makes, in its order, with its words.
 * @module
 */
import { createHmac } from "node:crypto";
import { parseAddress } from "../../wire/address.ts";
import * as ah from "../../wire/ah.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as vrrp from "../../wire/vrrp.ts";
import type { Advert } from "./instance.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** A packet of IP protocol 112, or 51, as it came. */
export interface Packet {
  readonly family: 4 | 6;
  /** IPv4: the whole packet with its header. IPv6: what is behind the header. */
  readonly bytes: Uint8Array;
  /** Canonical text. */
  readonly src: string;
  readonly dst: string;
  /** TTL or hop limit. */
  readonly ttl: number;
}

/** Where a packet that was not believed is counted. */
export type Counter =
  | "lengthErrors"
  | "ttlErrors"
  | "versionErrors"
  | "invalidAuthTypes"
  | "authTypeMismatches"
  | "authFailures"
  | "intervalErrors"
  | "invalidTypes"
  | "addressListErrors"
  | "checksumErrors";

/** The answer: an advert, or what is wrong. `silent`: it is none of ours and not worth a word. */
export type Judgement =
  | { readonly kind: "advert"; readonly advert: Advert; readonly sequence?: number }
  | {
      readonly kind: "refused";
      readonly counter: Counter | undefined;
      readonly problem: string;
      /** It is counted as received all the same (as keepalived counts). */
      readonly received?: boolean;
    }
  | { readonly kind: "silent" };

/** What the checks must know beside the specification. */
export interface Listener {
  readonly spec: VrrpInstanceSpec;
  /** Source of our own adverts, canonical text. */
  readonly source: string;
  /** This sender was master when last heard, and we are backup: its list of addresses is known to be right. */
  readonly knownMaster: string | undefined;
  /** Highest AH sequence number seen of a sender. */
  readonly sequenceOf: (sender: string) => number | undefined;
}

const AH_PROTOCOL = 51;

/** Where the VRRP message is in a packet; undefined when it is too short to be one. */
function locate(packet: Packet): { at: number; end: number; ahAt: number | undefined } | undefined {
  const { bytes } = packet;
  if (packet.family === 6)
    return bytes.length < vrrp.HEADER_LEN ? undefined : { at: 0, end: bytes.length, ahAt: undefined };
  const v = view(bytes);
  if (!ipv4.valid(v, 0, bytes.length)) return undefined;
  let at = ipv4.headerLen(v, 0);
  const ahAt = ipv4.protocol(v, 0) === AH_PROTOCOL ? at : undefined;
  if (ahAt !== undefined) at += ah.HEADER_LEN;
  return at + vrrp.HEADER_LEN > bytes.length ? undefined : { at, end: bytes.length, ahAt };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The router id in a packet, by which its instance is found; undefined when it is too short to have one. */
export function routerIdOf(packet: Packet): number | undefined {
  const where = locate(packet);
  return where && vrrp.routerId(view(packet.bytes), where.at);
}

const refused = (counter: Counter | undefined, problem: string): Judgement => ({
  kind: "refused",
  counter,
  problem,
});

/** Judges a packet whose router id is the listener's. */
export function judge(packet: Packet, listener: Listener): Judgement {
  const { spec } = listener;
  const where = locate(packet);
  if (where === undefined) return { kind: "silent" };
  const { at, end, ahAt } = where;
  const v = view(packet.bytes);
  const wantsAh = spec.version === 2 && spec.family === 4 && spec.auth?.type === "ah";
  const header = ahAt === undefined ? undefined : ah.parse(v, ahAt, end);
  if (wantsAh !== (header !== undefined))
    return ahAt === undefined
      ? refused("authTypeMismatches", "packet without AH header")
      : { kind: "silent" };
  if (header && header.nextHeader !== vrrp.PROTOCOL) return { kind: "silent" };

  const length = end - at;
  const expected = vrrp.byteLength(spec.version, spec.family, spec.addresses.length);
  if (length !== expected) {
    const headers = at + (packet.family === 6 ? 40 : 0);
    const long = length > expected ? "long" : "short";
    return refused(
      "lengthErrors",
      `vrrp packet too ${long}, length ${length + headers} and expect ${expected + headers}`,
    );
  }

  const unicast = spec.peers.length > 0;
  const peer = spec.peers.find((p) => p.address === packet.src);
  const least = unicast ? (peer?.minTtl ?? 0) : vrrp.TTL;
  const most = unicast ? (peer?.maxTtl ?? 255) : vrrp.TTL;
  if (packet.ttl < least || packet.ttl > most)
    return refused(
      "ttlErrors",
      `invalid TTL/HL. Received ${packet.ttl} and expect ${least === most ? least : `${least}..${most}`}`,
    );

  const version = vrrp.version(v, at);
  if (version !== spec.version)
    return refused("versionErrors", `wrong version. Received ${version} and expect ${spec.version}`);

  if (spec.version === 2) {
    const problem = judgeVersion2(packet, listener, v, at, end, header);
    if (problem) return problem;
  } else if (vrrp.intervalMs(v, at) === 0 && vrrp.priority(v, at) !== vrrp.PRIORITY.resign) {
    return refused("intervalErrors", "advertisement interval 0 means nothing");
  }

  if (vrrp.type(v, at) !== vrrp.TYPE_ADVERTISEMENT)
    return refused(
      "invalidTypes",
      `Invalid packet type. ${vrrp.type(v, at)} and expect ${vrrp.TYPE_ADVERTISEMENT}`,
    );

  const known = spec.skipCheckAdvAddr && listener.knownMaster === packet.src;
  const count = vrrp.count(v, at);
  if (!known && count !== spec.addresses.length)
    return refused(
      "addressListErrors",
      `received an unexpected ip number count ${count}, expected ${spec.addresses.length}!`,
    );

  if (!checksumOk(packet, spec, v, at, length))
    return refused("checksumErrors", `Invalid VRRPv${spec.version} checksum`);

  if (unicast === isMulticast(packet.dst)) {
    const [wanted, got] = unicast ? ["unicast", "multicast"] : ["multicast", "unicast"];
    return refused("addressListErrors", `Expected ${wanted} packet but received ${got} packet`);
  }

  if (!known) {
    const advertised = new Set(
      Array.from({ length: count }, (_, i) => vrrp.addressAt(v, at, i, spec.family)),
    );
    const missing = spec.addresses.find((a) => !advertised.has(a.address));
    if (missing) {
      const problem = `ip address associated with VRID ${spec.routerId} not present in MASTER advert: ${missing.address}`;
      return { kind: "refused", counter: "addressListErrors", problem, received: true };
    }
    if (spec.checkUnicastSource && unicast && peer === undefined) {
      const problem = `unicast source address ${packet.src} not a unicast peer`;
      return { kind: "refused", counter: undefined, problem, received: true };
    }
  }

  const advert: Advert = {
    priority: vrrp.priority(v, at),
    intervalMs: vrrp.intervalMs(v, at),
    from: packet.src,
    order: compare(packet.src, listener.source),
  };
  return { kind: "advert", advert, ...(header && { sequence: header.sequence }) };
}

function judgeVersion2(
  packet: Packet,
  listener: Listener,
  v: DataView,
  at: number,
  end: number,
  header: ah.Ah | undefined,
): Judgement | undefined {
  const { spec } = listener;
  if (spec.family === 4) {
    const wanted = spec.auth === undefined ? vrrp.AUTH.none : vrrp.AUTH[spec.auth.type];
    const type = vrrp.authType(v, at);
    if (type > vrrp.AUTH.ah) return refused("invalidAuthTypes", `Invalid auth type: ${type}`);
    if (type !== wanted)
      return refused("authTypeMismatches", `received a ${type} auth, expecting ${wanted}!`);
    if (wanted === vrrp.AUTH.pass) {
      const key = vrrp.password(spec.auth!.password);
      const data = packet.bytes.subarray(end - vrrp.AUTH_LEN, end);
      if (!key.every((byte, i) => byte === data[i]))
        return refused("authFailures", "received an invalid passwd!");
    }
    if (header) {
      const icv = icvOf(v, spec.auth!.password);
      if (!icv.every((byte, i) => byte === header.icv[i]))
        return refused(
          "authFailures",
          "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !",
        );
      const seen = listener.sequenceOf(packet.src);
      if (seen !== undefined && header.sequence <= seen)
        return refused(
          "authFailures",
          `IPSEC-AH : sequence number ${header.sequence} already processed. Packet dropped. Local(${seen})`,
        );
    }
  }
  const interval = vrrp.intervalMs(v, at);
  if (interval !== spec.advertIntMs)
    return refused(
      "intervalErrors",
      `advertisement interval mismatch mine=${spec.advertIntMs / 1000} sec rcv'd=${interval / 1000} sec`,
    );
  return undefined;
}

/** The ICV of the IPv4 packet at the start of a view. */
export function icvOf(v: DataView, password: string): Uint8Array {
  const mac = createHmac("md5", vrrp.password(password)).update(ah.covered(v, 0)).digest();
  return new Uint8Array(mac.subarray(0, ah.ICV_LEN));
}

function checksumOk(
  packet: Packet,
  spec: VrrpInstanceSpec,
  v: DataView,
  at: number,
  length: number,
): boolean {
  if (spec.version === 2 && spec.family === 4) return vrrp.checksumOk(v, at, length, 0);
  const src = parseAddress(packet.src)!.bytes;
  if (vrrp.checksumOk(v, at, length, vrrp.pseudo(src, parseAddress(packet.dst)!.bytes, length))) return true;
  if (spec.family === 6) return false;
  // Version 3 over IPv4: RFC 9568 leaves the pseudo header out; keepalived up to 1.3.6 summed the group up in unicast adverts.
  if (vrrp.checksumOk(v, at, length, 0)) return true;
  return (
    spec.peers.length > 0 &&
    vrrp.checksumOk(v, at, length, vrrp.pseudo(src, parseAddress(vrrp.GROUP[4])!.bytes, length))
  );
}

function isMulticast(address: string): boolean {
  const { family, bytes } = parseAddress(address)!;
  return family === 4 ? bytes[0] >>> 4 === 0xe : bytes[0] === 0xff;
}

/** Order of two addresses of one family as unsigned numbers. */
function compare(a: string, b: string): number {
  const x = parseAddress(a)?.bytes ?? [];
  const y = parseAddress(b)?.bytes ?? [];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] - (y[i] ?? 0);
  return 0;
}
