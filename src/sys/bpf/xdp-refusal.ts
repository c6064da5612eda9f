/**
 * Why a driver does not take an XDP program, in its own words: the older way to attach one is asked, whose answer carries a sentence.
 * @module
 */
import { errorOf, LITTLE_ENDIAN, NetlinkWriter, NLM_F, NLMSG } from "../../wire/netlink.ts";
import { refusalText } from "../genl.ts";
import { NETLINK, NetlinkSocket } from "../netlink.ts";
import { setOption } from "../socket.ts";

const RTM_SETLINK = 19;
const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_FLAGS = 3;
/** In the driver, and only where no program is. */
const FLAGS = (1 << 2) | 1;
const SOL_NETLINK = 270;
const CAP_ACK = 10;
const EXT_ACK = 11;

/** Tries to attach the program once more, for the sentence; "" when there is none. Nothing stays attached. */
export function xdpRefusal(programFd: number, ifindex: number): string {
  const socket = new NetlinkSocket(NETLINK.ROUTE);
  try {
    setOption(socket.fd, SOL_NETLINK, CAP_ACK, 1);
    setOption(socket.fd, SOL_NETLINK, EXT_ACK, 1);
    const { errno, text } = set(socket, programFd, ifindex);
    if (errno === 0) set(socket, -1, ifindex);
    return text;
  } finally {
    socket.close();
  }
}

function set(socket: NetlinkSocket, fd: number, ifindex: number): { errno: number; text: string } {
  const seq = socket.nextSeq();
  const header = new Uint8Array(16); // struct ifinfomsg
  new DataView(header.buffer).setInt32(4, ifindex, LITTLE_ENDIAN);
  const w = new NetlinkWriter().begin(RTM_SETLINK, NLM_F.REQUEST | NLM_F.ACK, seq).raw(header);
  w.nest(IFLA_XDP, (x) => {
    x.u32(IFLA_XDP_FD, fd >>> 0).u32(IFLA_XDP_FLAGS, fd < 0 ? FLAGS & ~1 : FLAGS);
  });
  socket.send(w.end().bytes);
  for (;;) {
    for (const m of socket.receive(true)) {
      if (m.seq === seq && m.type === NLMSG.ERROR) return { errno: errorOf(m), text: refusalText(m) };
    }
  }
}
