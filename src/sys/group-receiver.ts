/**
 * Raw sockets for protocols that routers speak among themselves: one IP protocol on one interface, multicast groups and unicast alike, with the
 * addresses and the TTL of every packet. And the options that make a {@link RawSender} fit for them.
 * @module
 */
import { formatAddress, parseAddress } from "../wire/address.ts";
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { addressOf, check, close, lastErrno, type ReadWatch, raw, SysError, watchReadable } from "./libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SO, SOCK, SOL_SOCKET, setOption } from "./socket.ts";

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP = { MULTICAST_LOOP: 34, ADD_MEMBERSHIP: 35, MULTICAST_ALL: 49 } as const;
const IPV6 = {
  MULTICAST_LOOP: 19,
  JOIN_GROUP: 20,
  MULTICAST_ALL: 29,
  RECVPKTINFO: 49,
  PKTINFO: 50,
  RECVHOPLIMIT: 51,
  HOPLIMIT: 52,
} as const;
const EAGAIN = 11;
const EADDRINUSE = 98;
const MAX_PACKET = 65536;

/** Ties a socket to an interface: it sends there and receives from there only. @throws SysError */
export function bindToInterface(fd: number, name: string): void {
  const bytes = new Uint8Array(new ArrayBuffer(16));
  for (let i = 0; i < Math.min(name.length, 15); i++) bytes[i] = name.charCodeAt(i);
  check("setsockopt SO_BINDTODEVICE", raw.setsockopt(fd, SOL_SOCKET, SO.BINDTODEVICE, bytes, 16), name);
}

/** Keeps multicasts that a socket sends from coming back to this host. */
export function withoutLoop(fd: number, family: 4 | 6): void {
  if (family === 4) setOption(fd, IPPROTO_IP, IP.MULTICAST_LOOP, 0);
  else setOption(fd, IPPROTO_IPV6, IPV6.MULTICAST_LOOP, 0);
}

/** What came. Filled again by the next read. */
export interface Received {
  /** IPv4: with the IP header. IPv6: what is behind the headers. A view that the next read overwrites. */
  bytes: Uint8Array;
  /** Canonical text. */
  src: string;
  dst: string;
  /** TTL or hop limit. */
  ttl: number;
}

const offHeap = (n: number): Uint8Array => new Uint8Array(new ArrayBuffer(n));

/** Receives one IP protocol on one interface. */
export class GroupReceiver {
  readonly fd: number;
  readonly #family: 4 | 6;
  readonly #index: number;
  readonly #packet = offHeap(MAX_PACKET);
  readonly #name = offHeap(28);
  readonly #control = offHeap(256);
  readonly #vector = offHeap(16);
  readonly #header = offHeap(56);
  readonly #got: Received = { bytes: this.#packet, src: "", dst: "", ttl: 0 };
  #watch: ReadWatch | undefined;

  /** @param on the interface, absent for all @throws SysError */
  constructor(
    family: 4 | 6,
    protocol: number,
    on: { readonly name: string; readonly index: number } | undefined,
  ) {
    this.#family = family;
    this.#index = on?.index ?? 0;
    const what = `receive IP protocol ${protocol}`;
    this.fd = openSocket(family === 4 ? AF.INET : AF.INET6, SOCK.RAW | SOCK.NONBLOCK, protocol, what);
    try {
      if (on) bindToInterface(this.fd, on.name);
    } catch (error) {
      close(this.fd);
      throw error;
    }
    if (family === 4) setOption(this.fd, IPPROTO_IP, IP.MULTICAST_ALL, 0);
    else {
      setOption(this.fd, IPPROTO_IPV6, IPV6.MULTICAST_ALL, 0);
      setOption(this.fd, IPPROTO_IPV6, IPV6.RECVPKTINFO, 1);
      setOption(this.fd, IPPROTO_IPV6, IPV6.RECVHOPLIMIT, 1);
    }
    const word = (bytes: Uint8Array, at: number, value: number) =>
      new DataView(bytes.buffer).setBigUint64(at, BigInt(value), LITTLE_ENDIAN);
    word(this.#vector, 0, addressOf(this.#packet));
    word(this.#vector, 8, MAX_PACKET);
    word(this.#header, 0, addressOf(this.#name));
    word(this.#header, 16, addressOf(this.#vector));
    word(this.#header, 24, 1);
    word(this.#header, 32, addressOf(this.#control));
  }

  /** Joins a multicast group on the interface; once more does nothing. @throws SysError */
  join(group: string): void {
    const { bytes } = parseAddress(group)!;
    const request = offHeap(this.#family === 4 ? 12 : 20); // struct ip_mreqn, struct ipv6_mreq
    request.set(bytes);
    new DataView(request.buffer).setInt32(this.#family === 4 ? 8 : 16, this.#index, LITTLE_ENDIAN);
    const [level, name] =
      this.#family === 4 ? [IPPROTO_IP, IP.ADD_MEMBERSHIP] : [IPPROTO_IPV6, IPV6.JOIN_GROUP];
    if (raw.setsockopt(this.fd, level, name, request, request.length) < 0 && lastErrno() !== EADDRINUSE)
      throw new SysError("setsockopt", lastErrno(), `join ${group}`);
  }

  /** Reads one packet; undefined when none is waiting, or the interface is gone. */
  read(): Received | undefined {
    const v = new DataView(this.#header.buffer);
    v.setUint32(8, 28, LITTLE_ENDIAN);
    v.setBigUint64(40, BigInt(this.#control.length), LITTLE_ENDIAN);
    const n = raw.recvmsg(this.fd, this.#header, MSG_DONTWAIT);
    if (n < 0) {
      // ENETDOWN and its like are told once, and then it goes on: the interface may come back.
      return lastErrno() === EAGAIN ? undefined : this.#afterError();
    }
    const got = this.#got;
    got.bytes = this.#packet.subarray(0, n);
    if (this.#family === 4) {
      if (n < 20) return this.read();
      got.src = formatAddress(4, this.#packet, 12);
      got.dst = formatAddress(4, this.#packet, 16);
      got.ttl = this.#packet[8];
      return got;
    }
    got.src = formatAddress(6, this.#name, 8);
    this.#readControl(Number(v.getBigUint64(40, LITTLE_ENDIAN)), got);
    return got;
  }

  #errors = 0;
  #afterError(): Received | undefined {
    this.#errors++;
    const again = this.#errors < 3 ? this.read() : undefined;
    this.#errors = 0;
    return again;
  }

  /** Destination and hop limit are ancillary data (RFC 3542). */
  #readControl(length: number, got: Received): void {
    const v = new DataView(this.#control.buffer);
    got.dst = "::";
    got.ttl = 0;
    for (let at = 0; at + 16 <= length; ) {
      const size = Number(v.getBigUint64(at, LITTLE_ENDIAN)); // struct cmsghdr
      if (size < 16) return;
      const level = v.getInt32(at + 8, LITTLE_ENDIAN);
      const type = v.getInt32(at + 12, LITTLE_ENDIAN);
      if (level === IPPROTO_IPV6 && type === IPV6.PKTINFO) got.dst = formatAddress(6, this.#control, at + 16);
      if (level === IPPROTO_IPV6 && type === IPV6.HOPLIMIT) got.ttl = v.getInt32(at + 16, LITTLE_ENDIAN);
      at += (size + 7) & ~7;
    }
  }

  onReadable(callback: () => void): ReadWatch {
    this.#watch?.close();
    this.#watch = watchReadable(this.fd, callback);
    return this.#watch;
  }

  close(): void {
    this.#watch?.close();
    close(this.fd);
  }
}
