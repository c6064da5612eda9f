/**
 * Our own adverts, as whole IP packets: keepalived writes the IP header itself, and so do we.
 * @module
 */
import { parseAddress } from "../../wire/address.ts";
import * as ah from "../../wire/ah.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as vrrp from "../../wire/vrrp.ts";
import { icvOf } from "./receive.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** Adverts of one instance; counts its packets. */
export class Composer {
  /** May change at a reload; the numbers go on. */
  spec: VrrpInstanceSpec;
  #id = 0;
  #sequence = 0;

  constructor(spec: VrrpInstanceSpec) {
    this.spec = spec;
  }

  /** A packet from `src` to `dst` (canonical text) that says `priority`. */
  packet(src: string, dst: string, priority: number): Uint8Array {
    const { spec } = this;
    const length = vrrp.byteLength(spec.version, spec.family, spec.addresses.length);
    const secured = spec.version === 2 && spec.family === 4 && spec.auth?.type === "ah";
    const ahLen = secured ? ah.HEADER_LEN : 0;
    const ttl = spec.peers.length > 0 ? spec.unicastTtl : vrrp.TTL;
    const header = spec.family === 4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN;
    const bytes = new Uint8Array(new ArrayBuffer(header + ahLen + length));
    const v = new DataView(bytes.buffer);
    const payloadLen = ahLen + length;
    if (spec.family === 4) {
      this.#id = (this.#id & 0xffff) + 1;
      const ip = {
        tos: vrrp.TOS,
        id: this.#id & 0xffff,
        dontFragment: false,
        moreFragments: false,
        fragmentOffset: 0,
        ttl,
      };
      ipv4.emit(
        { ...ip, protocol: secured ? ipv4.PROTOCOL.ah : vrrp.PROTOCOL, src, dst, options: [], payloadLen },
        v,
        0,
      );
    } else {
      const ip = { trafficClass: vrrp.TOS, flowLabel: 0, hopLimit: ttl, extensions: [] };
      ipv6.emit({ ...ip, protocol: vrrp.PROTOCOL, src, dst, payloadLen }, v, 0);
    }
    vrrp.emit(this.#message(priority), v, header + ahLen, this.#pseudo(src, dst, length));
    if (secured) {
      this.#sequence = (this.#sequence + 1) >>> 0;
      const spi = v.getUint32(ipv4.AT.src);
      ah.emit({ nextHeader: vrrp.PROTOCOL, spi, sequence: this.#sequence }, v, header);
      ah.setIcv(v, header, icvOf(v, spec.auth.password));
    }
    return bytes;
  }

  #message(priority: number): vrrp.Vrrp {
    const { spec } = this;
    const auth = spec.version === 2 && spec.family === 4 ? spec.auth : undefined;
    return {
      version: spec.version,
      family: spec.family,
      routerId: spec.routerId,
      priority,
      intervalMs: spec.advertIntMs,
      addresses: spec.addresses.map((a) => a.address),
      authType: auth ? vrrp.AUTH[auth.type] : vrrp.AUTH.none,
      authData: auth?.type === "pass" ? vrrp.password(auth.password) : new Uint8Array(vrrp.AUTH_LEN),
    };
  }

  #pseudo(src: string, dst: string, length: number): number {
    const { spec } = this;
    const plain = spec.family === 4 && (spec.version === 2 || spec.checksumWithoutPseudoHeader);
    return plain ? 0 : vrrp.pseudo(parseAddress(src)!.bytes, parseAddress(dst)!.bytes, length);
  }
}
