/**
 * Network interfaces and their addresses, over rtnetlink (`include/uapi/linux/if_link.h`, `if_addr.h`): what there is, setting and removing,
 * and the news that something changed.
 * @module
 */
import { formatAddress, parseAddress } from "../wire/address.ts";
import { macAt, parseMac } from "../wire/ethernet.ts";
import { Attributes, LITTLE_ENDIAN, NetlinkWriter, NLM_F } from "../wire/netlink.ts";
import { NETLINK, NetlinkSocket } from "./netlink.ts";
import { AF } from "./socket.ts";

const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, NEWADDR: 20, DELADDR: 21, GETADDR: 22 } as const;
const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, LINK: 5, LINKINFO: 18 } as const;
const IFLA_INFO = { KIND: 1, DATA: 2 } as const;
const IFLA_MACVLAN_MODE = 1;
const MACVLAN_MODE_PRIVATE = 1;
const IFF = { UP: 1, RUNNING: 0x40 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, CACHEINFO: 6, FLAGS: 8, PROTO: 11 } as const;
/** Groups of news (RTNLGRP_...): links, addresses of both families; routes, rules and forwarding of both. */
const LINK_GROUPS = [1, 5, 9];
const ROUTE_GROUPS = [7, 11, 8, 19, 24, 25];
const FOREVER = 0xffffffff;

/** Flags of addresses (IFA_F_...). */
export const ADDRESS_FLAG = {
  secondary: 0x01,
  nodad: 0x02,
  home: 0x10,
  deprecated: 0x20,
  tentative: 0x40,
  mngtmpaddr: 0x100,
  noprefixroute: 0x200,
  autojoin: 0x400,
} as const;

/** An address as it is on an interface. */
export interface InterfaceAddress {
  readonly family: 4 | 6;
  /** Canonical text. */
  readonly address: string;
  readonly prefix: number;
  /** rtnetlink scope 0..255. */
  readonly scope: number;
  /** See {@link ADDRESS_FLAG}. */
  readonly flags: number;
  /** Who set it (IFA_PROTO, Linux 5.18): 0 is not said. */
  readonly protocol: number;
}

/** An interface as it is. */
export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  /** Administratively up and with a carrier. */
  readonly up: boolean;
  readonly mtu: number;
  /** Like "02:00:00:00:00:01"; "" when it has none. */
  readonly mac: string;
  /** In the order of the kernel: the primary IPv4 address of a network comes first. */
  readonly addresses: readonly InterfaceAddress[];
}

/** An address to set. */
export interface NewAddress {
  readonly address: string;
  readonly prefix: number;
  readonly scope: number;
  /** Canonical text. */
  readonly broadcast?: string;
  readonly peer?: string;
  readonly label?: string;
  /** See {@link ADDRESS_FLAG}. */
  readonly flags: number;
  /** Mark of who set it, 0 for none. */
  readonly protocol: number;
  /** Seconds. @default for ever */
  readonly preferredLifetimeS?: number;
}

/** Requests about the network namespace in which it was made. */
export class Interfaces {
  readonly #socket = new NetlinkSocket(NETLINK.ROUTE, 1 << 17);
  readonly #news = new NetlinkSocket(NETLINK.ROUTE);
  readonly #w = new NetlinkWriter();

  constructor() {
    for (const group of LINK_GROUPS) this.#news.subscribe(group);
  }

  /** All interfaces with all their addresses, by name. @throws SysError */
  list(): Map<string, NetworkInterface> {
    const addresses = new Map<number, InterfaceAddress[]>();
    this.#dump(RTM.GETADDR, 8, (body) => {
      const family = body[0] === AF.INET ? 4 : body[0] === AF.INET6 ? 6 : undefined;
      if (family === undefined) return;
      const a = new Attributes(body, 8);
      const bytes = a.bytes(IFA.LOCAL) ?? a.bytes(IFA.ADDRESS);
      if (bytes === undefined) return;
      const index = new DataView(body.buffer, body.byteOffset).getUint32(4, LITTLE_ENDIAN);
      const found = addresses.get(index) ?? [];
      found.push({
        family,
        address: formatAddress(family, bytes),
        prefix: body[1],
        scope: body[3],
        flags: a.u32(IFA.FLAGS) ?? body[2],
        protocol: a.u8(IFA.PROTO) ?? 0,
      });
      addresses.set(index, found);
    });
    const links = new Map<string, NetworkInterface>();
    this.#dump(RTM.GETLINK, 16, (body) => {
      const v = new DataView(body.buffer, body.byteOffset);
      const a = new Attributes(body, 16);
      const index = v.getInt32(4, LITTLE_ENDIAN);
      const flags = v.getUint32(8, LITTLE_ENDIAN);
      const mac = a.bytes(IFLA.ADDRESS);
      const name = a.string(IFLA.IFNAME) ?? "";
      links.set(name, {
        index,
        name,
        up: (flags & IFF.UP) !== 0 && (flags & IFF.RUNNING) !== 0,
        mtu: a.u32(IFLA.MTU) ?? 0,
        mac: mac?.length === 6 ? macAt(new DataView(mac.buffer, mac.byteOffset), 0) : "",
        addresses: addresses.get(index) ?? [],
      });
    });
    return links;
  }

  #dump(type: number, headerLen: number, onBody: (body: Uint8Array) => void): void {
    const seq = this.#socket.nextSeq();
    const w = this.#w
      .reset()
      .begin(type, NLM_F.REQUEST | NLM_F.DUMP, seq)
      .raw(new Uint8Array(headerLen))
      .end();
    this.#socket.request(w.bytes, seq, (m) => {
      if (m.seq === seq) onBody(m.body);
    });
  }

  /** Sets an address on an interface. @throws SysError EEXIST when it is there */
  addAddress(index: number, wanted: NewAddress): void {
    const { bytes } = parseAddress(wanted.address)!;
    this.#address(RTM.NEWADDR, NLM_F.CREATE | NLM_F.EXCL, index, wanted, (w) => {
      w.bytesAttr(IFA.ADDRESS, wanted.peer ? parseAddress(wanted.peer)!.bytes : bytes);
      if (wanted.broadcast) w.bytesAttr(IFA.BROADCAST, parseAddress(wanted.broadcast)!.bytes);
      if (wanted.label) w.string(IFA.LABEL, wanted.label);
      w.u32(IFA.FLAGS, wanted.flags);
      if (wanted.protocol) w.u8(IFA.PROTO, wanted.protocol);
      if (wanted.preferredLifetimeS !== undefined) {
        const times = new Uint8Array(16); // struct ifa_cacheinfo: preferred, valid, created, updated
        const v = new DataView(times.buffer);
        v.setUint32(0, wanted.preferredLifetimeS, LITTLE_ENDIAN);
        v.setUint32(4, FOREVER, LITTLE_ENDIAN);
        w.bytesAttr(IFA.CACHEINFO, times);
      }
    });
  }

  /** Removes an address. @throws SysError EADDRNOTAVAIL when it is not there */
  removeAddress(index: number, gone: Pick<NewAddress, "address" | "prefix" | "peer">): void {
    this.#address(RTM.DELADDR, 0, index, { ...gone, scope: 0, flags: 0, protocol: 0 }, (w) => {
      w.bytesAttr(IFA.ADDRESS, parseAddress(gone.peer ?? gone.address)!.bytes);
    });
  }

  #address(
    type: number,
    flags: number,
    index: number,
    address: NewAddress,
    rest: (w: NetlinkWriter) => void,
  ): void {
    const { family, bytes } = parseAddress(address.address)!;
    const header = new Uint8Array(8); // struct ifaddrmsg
    header[0] = family === 4 ? AF.INET : AF.INET6;
    header[1] = address.prefix;
    header[2] = address.flags & 0xff;
    header[3] = address.scope;
    new DataView(header.buffer).setUint32(4, index, LITTLE_ENDIAN);
    const seq = this.#socket.nextSeq();
    const w = this.#w
      .reset()
      .begin(type, NLM_F.REQUEST | NLM_F.ACK | flags, seq)
      .raw(header);
    w.bytesAttr(IFA.LOCAL, bytes);
    rest(w);
    this.#socket.request(w.end().bytes, seq);
  }

  /** Makes a macvlan in private mode over an interface, and brings it up. @throws SysError EOPNOTSUPP where the kernel has none */
  addMacvlan(name: string, over: number, mac: string): void {
    const seq = this.#socket.nextSeq();
    const header = new Uint8Array(16); // struct ifinfomsg
    const v = new DataView(header.buffer);
    v.setUint32(8, IFF.UP, LITTLE_ENDIAN);
    v.setUint32(12, IFF.UP, LITTLE_ENDIAN);
    const w = this.#w.reset();
    w.begin(RTM.NEWLINK, NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL, seq).raw(header);
    w.string(IFLA.IFNAME, name).u32(IFLA.LINK, over).bytesAttr(IFLA.ADDRESS, parseMac(mac)!);
    w.nest(IFLA.LINKINFO, (info) => {
      info.string(IFLA_INFO.KIND, "macvlan");
      info.nest(IFLA_INFO.DATA, (data) => data.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE));
    });
    this.#socket.request(w.end().bytes, seq);
  }

  /** Removes an interface. @throws SysError ENODEV */
  removeLink(index: number): void {
    const seq = this.#socket.nextSeq();
    const header = new Uint8Array(16);
    new DataView(header.buffer).setInt32(4, index, LITTLE_ENDIAN);
    const w = this.#w
      .reset()
      .begin(RTM.DELLINK, NLM_F.REQUEST | NLM_F.ACK, seq)
      .raw(header);
    this.#socket.request(w.end().bytes, seq);
  }

  /** Calls back when interfaces or addresses changed, and with `routes` also routes and rules; once for a burst. */
  onChange(callback: () => void, routes = false): void {
    if (routes) for (const group of ROUTE_GROUPS) this.#news.subscribe(group);
    this.#news.onReadable(() => {
      if (this.#news.drain()) callback();
    });
  }

  close(): void {
    this.#socket.close();
    this.#news.close();
  }
}
