/**
 * Who is at the other end of a unix socket.
 * @module
 */
import type { Socket } from "node:net";
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { getOption, SO, SOL_SOCKET } from "./socket.ts";

/** User number of the process that connected; undefined when it cannot be told. */
export function peerUid(socket: Socket): number | undefined {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  try {
    const credentials = getOption(fd, SOL_SOCKET, SO.PEERCRED, 12); // struct ucred: pid, uid, gid
    return new DataView(credentials.buffer).getUint32(4, LITTLE_ENDIAN);
  } catch {
    return undefined;
  }
}
