/**
 * The kernel's routing decisions and interfaces, asked over rtnetlink (`include/uapi/linux/rtnetlink.h`), and the news that
 * they changed.
 * @module
 */
import { Attributes, LITTLE_ENDIAN, NetlinkWriter, NLM_F } from "../wire/netlink.ts";
import { NETLINK, NetlinkSocket } from "./netlink.ts";

const RTM = { GETLINK: 18, NEWROUTE: 24, DELROUTE: 25, GETROUTE: 26 } as const;
const RTA = { DST: 1, OIF: 4, PREFSRC: 7, METRICS: 8, MARK: 16, TABLE: 15 } as const;
const RTAX_MTU = 2;
const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4 } as const;
const IFF = { UP: 1, RUNNING: 0x40 } as const;
const RT_TABLE_LOCAL = 255;
const RTPROT_STATIC = 4;
const RT_SCOPE_HOST = 254;
/** Link, address, route and rule changes of both families (RTNLGRP_...). */
const GROUPS = [1, 5, 7, 8, 9, 11, 19];

/** Route types (RTN_...). */
export const ROUTE_TYPE = { UNICAST: 1, LOCAL: 2, BROADCAST: 3, ANYCAST: 4, MULTICAST: 5 } as const;

/** What the kernel would do with a packet to an address. */
export interface RouteAnswer {
  /** One of {@link ROUTE_TYPE}, or another RTN number. */
  readonly type: number;
  /** Index of the outgoing interface, 0 when none. */
  readonly interface: number;
  /** Preferred source address, bytes in network order; empty when none is said. */
  readonly source: Uint8Array;
  /** MTU of the route itself, 0 when it has none of its own. */
  readonly mtu: number;
}

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly mtu: number;
  readonly mac: Uint8Array;
  /** Whether it is switched on, and whether it has a carrier too. */
  readonly up: boolean;
  readonly running: boolean;
}

/** Requests about the namespace in which it was made. */
export class Routes {
  readonly #socket = new NetlinkSocket(NETLINK.ROUTE);
  readonly #news = new NetlinkSocket(NETLINK.ROUTE);
  readonly #w = new NetlinkWriter();

  constructor() {
    for (const group of GROUPS) this.#news.subscribe(group);
  }

  /** The route to an address (4 or 16 bytes) for packets with this mark; undefined when there is none. */
  lookup(address: Uint8Array, mark: number): RouteAnswer | undefined {
    const seq = this.#socket.nextSeq();
    const family = address.length === 4 ? 2 : 10;
    const w = this.#w.reset().begin(RTM.GETROUTE, NLM_F.REQUEST, seq);
    w.raw([family, address.length * 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).bytesAttr(RTA.DST, address);
    if (mark) w.u32(RTA.MARK, mark);
    const body = this.#socket.ask(w.end().bytes, seq);
    if (typeof body === "number") return undefined;
    const a = new Attributes(body, 12);
    return {
      type: body[7],
      interface: a.u32(RTA.OIF) ?? 0,
      source: a.bytes(RTA.PREFSRC)?.slice() ?? new Uint8Array(),
      mtu: a.nested(RTA.METRICS)?.u32(RTAX_MTU) ?? 0,
    };
  }

  /** An interface by index or name. */
  link(which: number | string): Link | undefined {
    const seq = this.#socket.nextSeq();
    const header = new Uint8Array(16); // struct ifinfomsg
    if (typeof which === "number") new DataView(header.buffer).setInt32(4, which, LITTLE_ENDIAN);
    const w = this.#w.reset().begin(RTM.GETLINK, NLM_F.REQUEST, seq).raw(header);
    if (typeof which === "string") w.string(IFLA.IFNAME, which);
    const body = this.#socket.ask(w.end().bytes, seq);
    if (typeof body === "number") return undefined;
    const a = new Attributes(body, 16);
    const info = new DataView(body.buffer, body.byteOffset, 16);
    const flags = info.getUint32(8, LITTLE_ENDIAN);
    return {
      index: info.getInt32(4, LITTLE_ENDIAN),
      up: (flags & IFF.UP) !== 0,
      running: (flags & IFF.RUNNING) !== 0,
      mtu: a.u32(IFLA.MTU) ?? 0,
      mac: a.bytes(IFLA.ADDRESS)?.slice() ?? new Uint8Array(),
    };
  }

  /** Adds or removes a `local` route, which makes the host take packets to the address as its own. @throws SysError */
  localRoute(action: "add" | "remove", address: Uint8Array, device: number): void {
    const seq = this.#socket.nextSeq();
    const add = action === "add";
    const flags = NLM_F.REQUEST | NLM_F.ACK | (add ? NLM_F.CREATE | NLM_F.EXCL : 0);
    const w = this.#w.reset().begin(add ? RTM.NEWROUTE : RTM.DELROUTE, flags, seq);
    const family = address.length === 4 ? 2 : 10;
    const scope = address.length === 4 ? RT_SCOPE_HOST : 0;
    w.raw([
      family,
      address.length * 8,
      0,
      0,
      RT_TABLE_LOCAL,
      RTPROT_STATIC,
      scope,
      ROUTE_TYPE.LOCAL,
      0,
      0,
      0,
      0,
    ]);
    w.bytesAttr(RTA.DST, address).u32(RTA.OIF, device).u32(RTA.TABLE, RT_TABLE_LOCAL).end();
    this.#socket.request(w.bytes, seq);
  }

  /** Whether anything changed since the last call. */
  changed(): boolean {
    return this.#news.drain();
  }

  /** Calls back when something changed; {@link changed} must then be called. */
  onChange(callback: () => void): void {
    this.#news.onReadable(callback);
  }

  close(): void {
    this.#socket.close();
    this.#news.close();
  }
}
