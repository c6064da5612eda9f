/**
 * Connected datagram sockets with what node's `dgram` lacks: a firewall mark, an interface, ICMP echo, and the ICMP errors that a
 * question earned.
 * @module
 */
import { type Family, parseAddress } from "../wire/address.ts";
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { check, close, lastErrno, type ReadWatch, raw, SysError, watchReadable } from "./libc.ts";
import {
  AF,
  MSG_DONTWAIT,
  openSocket,
  SO,
  SOCK,
  SOL_SOCKET,
  setOption,
  sockaddrIn,
  sockaddrIn6,
} from "./socket.ts";

const SO_REUSEADDR = 2;
const IPPROTO = { tcp: 6, udp: 17, icmp: { 4: 1, 6: 58 } } as const;
const EAGAIN = 11;
/** Longest datagram. */
const RECEIVE_LEN = 65536;

/** Where packets of a socket come from, and what marks them. */
export interface SocketOrigin {
  /** Source address, canonical text. */
  readonly bindAddress?: string;
  /** Source port. */
  readonly bindPort?: number;
  /** SO_BINDTODEVICE. */
  readonly bindInterface?: string;
  /** SO_MARK. */
  readonly fwmark?: number;
}

/** `struct sockaddr` of an address. A link-local one needs no zone where the socket is bound to an interface. */
function sockaddr(family: Family, text: string, port: number): Uint8Array {
  const bytes = parseAddress(text)?.bytes ?? new Uint8Array(family === 4 ? 4 : 16);
  return family === 4 ? sockaddrIn(bytes, port) : sockaddrIn6(bytes, port);
}

/** Gives a socket its mark and its interface. @throws SysError */
function applyOrigin(fd: number, origin: SocketOrigin): void {
  if (origin.fwmark && !setOption(fd, SOL_SOCKET, SO.MARK, origin.fwmark))
    throw new SysError("setsockopt", lastErrno(), `set firewall mark ${origin.fwmark}`);
  if (origin.bindInterface) {
    const name = new TextEncoder().encode(`${origin.bindInterface}\0`);
    const result = raw.setsockopt(fd, SOL_SOCKET, SO.BINDTODEVICE, name, name.length);
    check("setsockopt", result, `bind to interface ${origin.bindInterface}`);
  }
}

/**
 * Opens a TCP socket, not yet connected, with mark and interface; the caller owns the descriptor. node binds and connects it:
 * `new net.Socket({ fd, manualStart: true })`.
 * @throws SysError
 */
export function openTcpSocket(family: Family, origin: SocketOrigin): number {
  const fd = openSocket(family === 4 ? AF.INET : AF.INET6, SOCK.STREAM | SOCK.NONBLOCK, IPPROTO.tcp);
  try {
    applyOrigin(fd, origin);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * udp; icmp: echo requests through a ping socket, where the kernel writes id and checksum (allowed by net.ipv4.ping_group_range);
 * raw-icmp: all ICMP from the peer, IPv4 with its IP header (needs CAP_NET_RAW).
 */
export type DatagramKind = "udp" | "icmp" | "raw-icmp";

/** A datagram socket that talks to one peer. */
export class DatagramSocket {
  readonly fd: number;
  readonly family: Family;
  #watch: ReadWatch | undefined;
  #open = true;

  /** Opens it; nothing is sent yet. @throws SysError */
  constructor(kind: DatagramKind, family: Family, origin: SocketOrigin = {}) {
    this.family = family;
    const type = kind === "raw-icmp" ? SOCK.RAW : SOCK.DGRAM;
    const protocol = kind === "udp" ? IPPROTO.udp : IPPROTO.icmp[family];
    this.fd = openSocket(family === 4 ? AF.INET : AF.INET6, type | SOCK.NONBLOCK, protocol);
    try {
      applyOrigin(this.fd, origin);
      if (origin.bindAddress !== undefined || origin.bindPort) {
        setOption(this.fd, SOL_SOCKET, SO_REUSEADDR, 1);
        const port = kind === "udp" ? (origin.bindPort ?? 0) : 0;
        const from = sockaddr(family, origin.bindAddress ?? "", port);
        check("bind", raw.bind(this.fd, from, from.length), `source address ${origin.bindAddress ?? port}`);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sets the peer. Only its datagrams are received, and ICMP errors about it become errors of this socket. @throws SysError */
  connect(address: string, port: number): void {
    const to = sockaddr(this.family, address, port);
    check("connect", raw.connect(this.fd, to, to.length), address);
  }

  /** The address and port that datagrams leave from, once connected. @throws SysError */
  localAddress(): { bytes: Uint8Array; port: number } {
    const from = new Uint8Array(new ArrayBuffer(28));
    const length = new Uint8Array(new ArrayBuffer(4));
    new DataView(length.buffer).setUint32(0, 28, LITTLE_ENDIAN);
    check("getsockname", raw.getsockname(this.fd, from, length));
    const port = new DataView(from.buffer).getUint16(2);
    return { bytes: this.family === 4 ? from.slice(4, 8) : from.slice(8, 24), port };
  }

  /** Sends one datagram. @throws SysError also for an ICMP error that an earlier one earned */
  send(bytes: Uint8Array): void {
    check("send", raw.sendto(this.fd, bytes, bytes.length, MSG_DONTWAIT, null, 0));
  }

  /** The next datagram; undefined when none is waiting. @throws SysError for an ICMP error, once */
  receive(): Uint8Array | undefined {
    const bytes = new Uint8Array(new ArrayBuffer(RECEIVE_LEN));
    const n = raw.recv(this.fd, bytes, bytes.length, MSG_DONTWAIT);
    if (n >= 0) return bytes.slice(0, n);
    const errno = lastErrno();
    if (errno === EAGAIN) return undefined;
    throw new SysError("recv", errno);
  }

  /** Calls back when there is a datagram, or an error, to {@link receive}. After an error it does not call again. */
  onReadable(callback: () => void): void {
    this.#watch?.close();
    this.#watch = watchReadable(this.fd, callback);
  }

  /** Closes it; closing twice is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch?.close();
    close(this.fd);
  }
}
