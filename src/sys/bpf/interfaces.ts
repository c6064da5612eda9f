/**
 * The network interfaces of the namespace that this thread is in, as far as it matters for attaching programs to them.
 * @module
 */
import { Attributes, LITTLE_ENDIAN, NetlinkWriter, NLM_F } from "../../wire/netlink.ts";
import { NETLINK, NetlinkSocket } from "../netlink.ts";

const RTM_GETLINK = 18;
const RTM_NEWLINK = 16;
const IFLA = { IFNAME: 3, MTU: 4, MASTER: 10, LINKINFO: 18, PARENT_DEV_BUS_NAME: 57 } as const;
const IFLA_INFO_KIND = 1;
const IFF_UP = 1;
const DUMP_BUFFER = 1 << 18;
/** Device types without a link-layer header (`include/uapi/linux/if_arp.h`): TUN, tunnels. */
const HEADERLESS: readonly number[] = [65534, 768, 769, 776, 778, 519, 823];

/** One interface. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** "veth", "bridge", "vlan" ...; "" for hardware and lo. */
  readonly kind: string;
  readonly mtu: number;
  /** Packets on it begin with the IP header. */
  readonly headerless: boolean;
  readonly loopback: boolean;
  /** Index of the bridge, bond or VRF that it belongs to; 0 for none. */
  readonly master: number;
  /** The bus that its hardware is on: "pci", "virtio" ...; "" for what has none. */
  readonly bus: string;
}

/** All of them. @throws SysError */
export function interfaces(): Interface[] {
  const socket = new NetlinkSocket(NETLINK.ROUTE, DUMP_BUFFER);
  try {
    const seq = socket.nextSeq();
    const request = new NetlinkWriter()
      .begin(RTM_GETLINK, NLM_F.REQUEST | NLM_F.DUMP, seq)
      .raw(new Uint8Array(16));
    const found: Interface[] = [];
    socket.request(request.end().bytes, seq, ({ type, body }) => {
      if (type === RTM_NEWLINK) found.push(parse(body));
    });
    return found;
  } finally {
    socket.close();
  }
}

function parse(body: Uint8Array): Interface {
  const v = new DataView(body.buffer, body.byteOffset, 16);
  const a = new Attributes(body, 16);
  const kind = a.nested(IFLA.LINKINFO)?.string(IFLA_INFO_KIND) ?? "";
  return {
    index: v.getInt32(4, LITTLE_ENDIAN),
    name: a.string(IFLA.IFNAME) ?? "",
    kind,
    mtu: a.u32(IFLA.MTU) ?? 0,
    headerless: HEADERLESS.includes(v.getUint16(2, LITTLE_ENDIAN)),
    loopback: (v.getUint32(8, LITTLE_ENDIAN) & 8) !== 0, // IFF_LOOPBACK
    master: a.u32(IFLA.MASTER) ?? 0,
    bus: a.string(IFLA.PARENT_DEV_BUS_NAME) ?? "",
  };
}

/** Brings an interface up; nothing happens to one that is. @throws SysError */
export function setLinkUp(index: number): void {
  const socket = new NetlinkSocket(NETLINK.ROUTE);
  try {
    const seq = socket.nextSeq();
    const header = new Uint8Array(16); // struct ifinfomsg: index, flags, and which of the flags are meant
    const v = new DataView(header.buffer);
    v.setInt32(4, index, LITTLE_ENDIAN);
    v.setUint32(8, IFF_UP, LITTLE_ENDIAN);
    v.setUint32(12, IFF_UP, LITTLE_ENDIAN);
    const w = new NetlinkWriter().begin(RTM_NEWLINK, NLM_F.REQUEST | NLM_F.ACK, seq).raw(header);
    socket.request(w.end().bytes, seq);
  } finally {
    socket.close();
  }
}
