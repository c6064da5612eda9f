/**
 * What node does not tell of the other end of a socket: who it is, and that it does not answer any more.
 * @module
 */
import type { Socket } from "node:net";
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { getOption, SO, SOL_SOCKET, setOption } from "./socket.ts";

const IPPROTO_TCP = 6;
/** `include/uapi/linux/tcp.h`. */
const TCP_USER_TIMEOUT = 18;

const descriptor = (socket: Socket): number | undefined =>
  (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;

/** User number of the process that connected by a unix socket; undefined when it cannot be told. */
export function peerUid(socket: Socket): number | undefined {
  const fd = descriptor(socket);
  if (fd === undefined || fd < 0) return undefined;
  try {
    const credentials = getOption(fd, SOL_SOCKET, SO.PEERCRED, 12); // struct ucred: pid, uid, gid
    return new DataView(credentials.buffer).getUint32(4, LITTLE_ENDIAN);
  } catch {
    return undefined;
  }
}

/** Has a TCP connection end when what was sent was not acknowledged for so long. */
export function endWithoutAnswer(socket: Socket, ms: number): void {
  const fd = descriptor(socket);
  if (fd !== undefined && fd >= 0) setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
}
