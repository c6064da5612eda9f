/**
 * Raw IP sockets: whole IP packets out by any next hop, packets of one protocol in.
 * @module
 */
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

const IPPROTO_UDP = 17;
const IPPROTO_IPV6 = 41;
const IPPROTO_RAW = 255;
const IPV6_V6ONLY = 26;
const UDP_NO_CHECK6_RX = 102;
const EAGAIN = 11;

/**
 * Sends IP packets whose header is already written. The next hop chooses the route, not the header: with a next hop of RIP a
 * packet to the VIP goes to RIP's MAC address. The kernel completes an IPv4 header's checksum, its length, and an id of 0.
 */
export class RawSender {
  readonly fd: number;
  readonly #address: Uint8Array;
  readonly #view: DataView;
  readonly #family: 4 | 6;
  #mark = 0;

  /** `priority` is given to every packet (`meta priority` of nftables sees it). @throws SysError */
  constructor(family: 4 | 6, priority = 0) {
    this.#family = family;
    // IPPROTO_RAW means "header included" for both families.
    const domain = family === 4 ? AF.INET : AF.INET6;
    this.fd = openSocket(domain, SOCK.RAW | SOCK.NONBLOCK, IPPROTO_RAW, `open a raw IPv${family} socket`);
    this.#address = family === 4 ? sockaddrIn([0, 0, 0, 0]) : sockaddrIn6(new Uint8Array(16));
    this.#view = new DataView(this.#address.buffer);
    setOption(this.fd, SOL_SOCKET, SO.SNDBUFFORCE, 4 << 20);
    if (priority && !setOption(this.fd, SOL_SOCKET, SO.PRIORITY, priority))
      throw new SysError("setsockopt SO_PRIORITY", lastErrno());
  }

  /**
   * Sends `length` bytes of a buffer, or from an address in one (a number). `nextHop` holds the address as 32-bit words read big-endian.
   * Returns 0, or the errno: EMSGSIZE (90) when it is longer than the interface's MTU.
   */
  send(bytes: Uint8Array | number, length: number, nextHop: Int32Array, mark: number): number {
    if (mark !== this.#mark) {
      setOption(this.fd, SOL_SOCKET, SO.MARK, mark);
      this.#mark = mark;
    }
    const v = this.#view;
    if (this.#family === 4) {
      v.setInt32(4, nextHop[0]);
    } else {
      v.setInt32(8, nextHop[0]);
      v.setInt32(12, nextHop[1]);
      v.setInt32(16, nextHop[2]);
      v.setInt32(20, nextHop[3]);
    }
    const sent = raw.sendto(this.fd, bytes, length, MSG_DONTWAIT, this.#address, this.#address.length);
    return sent < 0 ? lastErrno() : 0;
  }

  close(): void {
    close(this.fd);
  }
}

/** What comes to a socket, packet by packet. */
class Receiver {
  readonly fd: number;
  #watch: ReadWatch | undefined;
  readonly #from = new Uint8Array(new ArrayBuffer(28));
  readonly #fromLength = new Uint8Array(new ArrayBuffer(4));

  constructor(fd: number) {
    this.fd = fd;
    setOption(this.fd, SOL_SOCKET, SO.RCVBUFFORCE, 4 << 20);
  }

  /** Reads one packet: its length, or 0 when none is waiting. @throws SysError */
  read(into: Uint8Array): number {
    new DataView(this.#fromLength.buffer).setUint32(0, 28, LITTLE_ENDIAN);
    const n = raw.recvfrom(this.fd, into, into.length, MSG_DONTWAIT, this.#from, this.#fromLength);
    if (n >= 0) return n;
    const errno = lastErrno();
    if (errno === EAGAIN) return 0;
    throw new SysError("recvfrom", errno);
  }

  /** The sender of the packet read last: `struct sockaddr_in` or `sockaddr_in6`, overwritten by the next read. */
  get from(): Uint8Array {
    return this.#from;
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

/**
 * Receives the packets of one IP protocol that the host accepts as its own (reassembled). IPv4 packets come with their IP
 * header, IPv6 ones without (RFC 3542).
 */
export class RawReceiver extends Receiver {
  /** @throws SysError */
  constructor(family: 4 | 6, protocol: number) {
    const domain = family === 4 ? AF.INET : AF.INET6;
    super(openSocket(domain, SOCK.RAW | SOCK.NONBLOCK, protocol, `receive IP protocol ${protocol}`));
  }
}

/** Receives the datagrams of a tunnel over UDP, of both families; those over IPv6 may come without a checksum (RFC 6935). */
export class UdpTunnelReceiver extends Receiver {
  /** @throws SysError */
  constructor(port: number) {
    super(openSocket(AF.INET6, SOCK.DGRAM | SOCK.NONBLOCK, 0, "open a UDP socket"));
    setOption(this.fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    setOption(this.fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1);
    const everywhere = sockaddrIn6(new Uint8Array(16), port);
    check("bind", raw.bind(this.fd, everywhere, everywhere.length), `UDP port ${port}`);
  }
}

/** A packet socket: whole Ethernet frames of an interface (0: of all), in both directions, seen and sent. */
export class PacketSocket {
  readonly fd: number;
  #watch: ReadWatch | undefined;
  readonly #from = new Uint8Array(new ArrayBuffer(20));
  readonly #fromLength = new Uint8Array(new ArrayBuffer(4));
  readonly #fromView = new DataView(this.#from.buffer);

  /** `etherType` 3 is every frame (ETH_P_ALL). @throws SysError */
  constructor(interfaceIndex: number, etherType = 3) {
    this.fd = openSocket(AF.PACKET, SOCK.RAW | SOCK.NONBLOCK, 0, "open a packet socket");
    setOption(this.fd, SOL_SOCKET, SO.RCVBUFFORCE, 8 << 20);
    const address = new Uint8Array(new ArrayBuffer(20));
    const v = new DataView(address.buffer);
    v.setUint16(0, AF.PACKET, LITTLE_ENDIAN);
    v.setUint16(2, etherType);
    v.setInt32(4, interfaceIndex, LITTLE_ENDIAN);
    try {
      check("bind", raw.bind(this.fd, address, 20), `packet socket on interface ${interfaceIndex}`);
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  /** Reads one frame: its length, or 0 when none is waiting. @throws SysError */
  read(into: Uint8Array): number {
    new DataView(this.#fromLength.buffer).setUint32(0, 20, LITTLE_ENDIAN);
    const n = raw.recvfrom(this.fd, into, into.length, MSG_DONTWAIT, this.#from, this.#fromLength);
    if (n >= 0) return n;
    const errno = lastErrno();
    if (errno === EAGAIN || errno === 100) return 0; // ENETDOWN: the interface went down, it may come back
    throw new SysError("recvfrom", errno);
  }

  /** Interface of the frame read last. */
  get fromInterface(): number {
    return this.#fromView.getInt32(4, LITTLE_ENDIAN);
  }

  /** Whether the frame read last was one that this host sent (PACKET_OUTGOING). */
  get fromHere(): boolean {
    return this.#from[10] === 4;
  }

  /** Sends a frame with its Ethernet header on the interface the socket is bound to. */
  send(frame: Uint8Array): boolean {
    return raw.write(this.fd, frame, frame.length) === frame.length;
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
