/**
 * UDP to and from a multicast group on one interface (`ip(7)`, `ipv6(7)`).
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

const IPPROTO = { IP: 0, IPV6: 41 } as const;
/** `include/uapi/linux/in.h`, `in6.h`. */
const IP = {
  MTU_DISCOVER: 10,
  MULTICAST_IF: 32,
  MULTICAST_TTL: 33,
  MULTICAST_LOOP: 34,
  ADD_MEMBERSHIP: 35,
} as const;
const IPV6 = {
  MULTICAST_IF: 17,
  MULTICAST_HOPS: 18,
  MULTICAST_LOOP: 19,
  ADD_MEMBERSHIP: 20,
  MTU_DISCOVER: 23,
} as const;
const REUSEADDR = 2;
const EAGAIN = 11;

/** Which group, on which interface. */
export interface MulticastGroup {
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly group: Uint8Array;
  readonly port: number;
  /** Index of the interface. */
  readonly interface: number;
  /** Its name. */
  readonly name: string;
}

const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length));

const addressOfGroup = (g: MulticastGroup): Uint8Array =>
  g.family === 4 ? sockaddrIn(g.group, g.port) : sockaddrIn6(g.group, g.port, g.interface);

function open(g: MulticastGroup): number {
  const fd = openSocket(
    g.family === 4 ? AF.INET : AF.INET6,
    SOCK.DGRAM | SOCK.NONBLOCK,
    0,
    "open a UDP socket",
  );
  const name = bytes(16);
  new TextEncoder().encodeInto(g.name, name);
  try {
    check(
      "setsockopt",
      raw.setsockopt(fd, SOL_SOCKET, SO.BINDTODEVICE, name, 16),
      `bind to interface ${g.name}`,
    );
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** `struct ip_mreqn`, or `struct ipv6_mreq`. */
function membership(g: MulticastGroup): Uint8Array {
  const request = bytes(g.family === 4 ? 12 : 20);
  request.set(g.group);
  new DataView(request.buffer).setInt32(g.family === 4 ? 8 : 16, g.interface, LITTLE_ENDIAN);
  return request;
}

/** The address that datagrams to the group come from now, 4 or 16 bytes; undefined while there is none. */
export function sourceTowards(g: MulticastGroup): Uint8Array | undefined {
  let fd: number | undefined;
  try {
    fd = open(g);
    sendBy(fd, g);
    const to = addressOfGroup(g);
    check("connect", raw.connect(fd, to, to.length));
    const from = bytes(28);
    const length = bytes(4);
    new DataView(length.buffer).setUint32(0, from.length, LITTLE_ENDIAN);
    check("getsockname", raw.getsockname(fd, from, length));
    const source = g.family === 4 ? from.slice(4, 8) : from.slice(8, 24);
    return source.some((byte) => byte !== 0) ? source : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) close(fd);
  }
}

/** Multicast datagrams leave by the group's interface. */
function sendBy(fd: number, g: MulticastGroup): void {
  if (g.family === 6) {
    setOption(fd, IPPROTO.IPV6, IPV6.MULTICAST_IF, g.interface);
    return;
  }
  const request = membership({ ...g, group: bytes(4) });
  raw.setsockopt(fd, IPPROTO.IP, IP.MULTICAST_IF, request, request.length);
}

/** A socket for each group; none stays open when one of them cannot be had. @throws what `make` throws */
export function forEachGroup<T extends { close(): void }>(
  groups: readonly MulticastGroup[],
  make: (group: MulticastGroup) => T,
): T[] {
  const made: T[] = [];
  try {
    for (const group of groups) made.push(make(group));
    return made;
  } catch (error) {
    for (const one of made) one.close();
    throw error;
  }
}

/** Sends datagrams to the group; what it sends does not come back to this host. */
export class MulticastSender {
  readonly #fd: number;
  readonly #to: Uint8Array;

  /** @throws SysError */
  constructor(g: MulticastGroup, ttl: number) {
    this.#fd = open(g);
    this.#to = addressOfGroup(g);
    const level = g.family === 4 ? IPPROTO.IP : IPPROTO.IPV6;
    const option = g.family === 4 ? IP : IPV6;
    setOption(this.#fd, level, g.family === 4 ? IP.MULTICAST_TTL : IPV6.MULTICAST_HOPS, ttl);
    setOption(this.#fd, level, option.MULTICAST_LOOP, 0);
    setOption(this.#fd, level, option.MTU_DISCOVER, 0);
    sendBy(this.#fd, g);
    setOption(this.#fd, SOL_SOCKET, SO.SNDBUFFORCE, 4 << 20);
  }

  /** Returns 0, or the errno. */
  send(message: Uint8Array): number {
    const sent = raw.sendto(this.#fd, message, message.length, MSG_DONTWAIT, this.#to, this.#to.length);
    return sent < 0 ? lastErrno() : 0;
  }

  close(): void {
    close(this.#fd);
  }
}

/** Receives the group's datagrams from one interface. */
export class MulticastReceiver {
  readonly #fd: number;
  readonly #from = bytes(28);
  readonly #fromLength = bytes(4);
  readonly #family: 4 | 6;
  #watch: ReadWatch | undefined;

  /** @throws SysError */
  constructor(g: MulticastGroup) {
    this.#family = g.family;
    this.#fd = open(g);
    try {
      setOption(this.#fd, SOL_SOCKET, REUSEADDR, 1);
      setOption(this.#fd, SOL_SOCKET, SO.RCVBUFFORCE, 8 << 20);
      const address = addressOfGroup(g);
      check("bind", raw.bind(this.#fd, address, address.length), `UDP port ${g.port}`);
      const request = membership(g);
      const [level, name] =
        g.family === 4 ? [IPPROTO.IP, IP.ADD_MEMBERSHIP] : [IPPROTO.IPV6, IPV6.ADD_MEMBERSHIP];
      check(
        "setsockopt",
        raw.setsockopt(this.#fd, level, name, request, request.length),
        "join the multicast group",
      );
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** Reads one datagram: its length, or -1 when none is waiting. @throws SysError */
  read(into: Uint8Array): number {
    new DataView(this.#fromLength.buffer).setUint32(0, 28, LITTLE_ENDIAN);
    const n = raw.recvfrom(this.#fd, into, into.length, MSG_DONTWAIT, this.#from, this.#fromLength);
    if (n >= 0) return n;
    const errno = lastErrno();
    if (errno === EAGAIN) return -1;
    throw new SysError("recvfrom", errno);
  }

  /** Address bytes of who sent the datagram read last: 4 or 16, overwritten by the next read. */
  get from(): Uint8Array {
    return this.#family === 4 ? this.#from.subarray(4, 8) : this.#from.subarray(8, 24);
  }

  onReadable(callback: () => void): void {
    this.#watch?.close();
    this.#watch = watchReadable(this.#fd, callback);
  }

  close(): void {
    this.#watch?.close();
    close(this.#fd);
  }
}
