/**
 * The smallest host a director can run on: some own addresses, everything else one hop away, and a list of what was sent.
 * @module
 */
import type { AddressKind, Host, Route, Words } from "../core/host.ts";
import type { Packet } from "../core/packet.ts";
import type { Family } from "../core/service.ts";
import { toWords, wordsToText } from "../wire/address.ts";

/** A packet that the director sent. */
export interface Sent {
  /** Next hop, as text. */
  readonly via: string;
  readonly bytes: Uint8Array;
  readonly mark: number;
}

/** See the module's description. */
export class RecordingHost implements Host {
  routeEpoch = 0;
  unprivilegedPortStart = 1024;
  /** Bytes. */
  mtu = 1500;
  /** Pages. */
  pages = 1_000_000;
  readonly sent: Sent[] = [];
  /** Set to count packets only. */
  quiet = false;
  count = 0;
  private readonly own: Set<string>;
  private readonly interfaces: Readonly<Record<string, number>>;

  constructor(own: readonly string[] = [], interfaces: Readonly<Record<string, number>> = { eth0: 1500 }) {
    this.own = new Set(own);
    this.interfaces = interfaces;
  }

  /** Gives the host an address, or takes it away. */
  setOwn(address: string, own = true): void {
    if (own) this.own.add(address);
    else this.own.delete(address);
    this.routeEpoch++;
  }

  route(family: Family, address: Words, _mark: number): Route | undefined {
    const local = this.addressKind(family, address) === "local";
    const source = family === 4 ? toWords("10.2.0.1") : toWords("2001:db8:2::1");
    return { local, mtu: local ? 65536 : this.mtu, source };
  }

  addressKind(family: Family, address: Words): AddressKind {
    const text = wordsToText(family, address);
    if (this.own.has(text)) return "local";
    if (family === 4) {
      const first = address[0] >>> 24;
      if (first === 127) return "local";
      if (address[0] === 0) return "unspecified";
      if (address[0] === -1) return "broadcast";
      return first >= 224 && first < 240 ? "multicast" : "unicast";
    }
    const head = address[0] >>> 16;
    if (head >>> 8 === 0xff) return "multicast";
    if ((head & 0xffc0) === 0xfe80) return "linklocal";
    if (text === "::1") return "local";
    return text === "::" || text.startsWith("::ffff:") ? "unspecified" : "unicast";
  }

  send(packet: Packet, nextHopFamily: Family, nextHop: Words): void {
    this.count++;
    if (this.quiet) return;
    this.sent.push({ via: wordsToText(nextHopFamily, nextHop), bytes: packet.copy(), mark: packet.mark });
  }

  interfaceMtu(name: string): number | undefined {
    return this.interfaces[name];
  }

  availablePages(): number {
    return this.pages;
  }
}
