/**
 * Sockets that node has no class for: opening, options, addresses.
 * @module
 */
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { check, raw } from "./libc.ts";

/** Address families and socket types (`include/linux/socket.h`, generic architectures). */
export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0x800, CLOEXEC: 0x80000 } as const;
export const MSG_DONTWAIT = 0x40;

/** SOL_SOCKET and its options (`include/uapi/asm-generic/socket.h`). */
export const SOL_SOCKET = 1;
export const SO = {
  SNDBUF: 7,
  RCVBUF: 8,
  PRIORITY: 12,
  PEERCRED: 17,
  BINDTODEVICE: 25,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  MARK: 36,
  NETNS_COOKIE: 71,
} as const;

/** Opens a socket that children do not inherit. @throws SysError */
export function openSocket(domain: number, type: number, protocol: number, what?: string): number {
  return check("socket", raw.socket(domain, type | SOCK.CLOEXEC, protocol), what);
}

const word = new Uint8Array(new ArrayBuffer(4));
const wordView = new DataView(word.buffer);

/** Sets an option that is an int. Returns false when refused. */
export function setOption(fd: number, level: number, name: number, value: number): boolean {
  wordView.setUint32(0, value >>> 0, LITTLE_ENDIAN);
  return raw.setsockopt(fd, level, name, word, 4) === 0;
}

/** Reads an option of up to `length` bytes. @throws SysError */
export function getOption(fd: number, level: number, name: number, length: number): Uint8Array {
  const value = new Uint8Array(new ArrayBuffer(length));
  wordView.setUint32(0, length, LITTLE_ENDIAN);
  check("getsockopt", raw.getsockopt(fd, level, name, value, word));
  return value;
}

/** `struct sockaddr_in` for four address bytes. */
export function sockaddrIn(address: ArrayLike<number>, port = 0): Uint8Array {
  const b = new Uint8Array(new ArrayBuffer(16));
  const v = new DataView(b.buffer);
  v.setUint16(0, AF.INET, LITTLE_ENDIAN);
  v.setUint16(2, port);
  b.set(address, 4);
  return b;
}

/** `struct sockaddr_in6` for sixteen address bytes. */
export function sockaddrIn6(address: ArrayLike<number>, port = 0, scope = 0): Uint8Array {
  const b = new Uint8Array(new ArrayBuffer(28));
  const v = new DataView(b.buffer);
  v.setUint16(0, AF.INET6, LITTLE_ENDIAN);
  v.setUint16(2, port);
  b.set(address, 8);
  v.setUint32(24, scope, LITTLE_ENDIAN);
  return b;
}

/** `struct sockaddr_ll`: an interface, an EtherType, and for sending the destination MAC. */
export function sockaddrLl(index: number, etherType: number, mac: ArrayLike<number> = []): Uint8Array {
  const b = new Uint8Array(new ArrayBuffer(20));
  const v = new DataView(b.buffer);
  v.setUint16(0, AF.PACKET, LITTLE_ENDIAN);
  v.setUint16(2, etherType);
  v.setInt32(4, index, LITTLE_ENDIAN);
  b[11] = mac.length;
  b.set(mac, 12);
  return b;
}
