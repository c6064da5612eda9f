/**
 * Netlink sockets: requests answered at once, and notifications.
 * @module
 */
import { errorOf, LITTLE_ENDIAN, type Message, messages, NLMSG } from "../wire/netlink.ts";
import { check, close, lastErrno, type ReadWatch, raw, SysError, watchReadable } from "./libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SO, SOCK, SOL_SOCKET, setOption } from "./socket.ts";

/** Protocols (`include/uapi/linux/netlink.h`). */
export const NETLINK = { ROUTE: 0, NETFILTER: 12, GENERIC: 16 } as const;

const SOL_NETLINK = 270;
const NETLINK_OPTION = { ADD_MEMBERSHIP: 1, NO_ENOBUFS: 5, EXT_ACK: 11 } as const;
const EAGAIN = 11;
const EINTR = 4;
const ENOBUFS = 105;

/** An open socket, in the namespace in which it was made wherever the thread goes afterwards. */
export class NetlinkSocket {
  readonly fd: number;
  readonly #buffer: Uint8Array;
  #seq = 0;
  #watch: ReadWatch | undefined;

  /** @throws SysError */
  constructor(protocol: number, bufferSize = 1 << 16) {
    this.fd = openSocket(AF.NETLINK, SOCK.RAW, protocol, "open a netlink socket");
    this.#buffer = new Uint8Array(new ArrayBuffer(bufferSize));
    const address = new Uint8Array(new ArrayBuffer(12));
    new DataView(address.buffer).setUint16(0, AF.NETLINK, LITTLE_ENDIAN);
    check("bind", raw.bind(this.fd, address, 12), "netlink");
    // A request waits for its answer; the kernel answers at once, the limit is for what we have not foreseen.
    const timeout = new Uint8Array(new ArrayBuffer(16));
    new DataView(timeout.buffer).setBigInt64(0, 10n, LITTLE_ENDIAN);
    raw.setsockopt(this.fd, SOL_SOCKET, 20, timeout, 16); // SO_RCVTIMEO_OLD
  }

  /** A sequence number for the next request. */
  nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0 || 1;
    return this.#seq;
  }

  /** Room for what is received and sent, in bytes, past the system's limit. */
  setBuffers(receive: number, send: number): void {
    setOption(this.fd, SOL_SOCKET, SO.RCVBUFFORCE, receive);
    setOption(this.fd, SOL_SOCKET, SO.SNDBUFFORCE, send);
  }

  /** Overruns are not reported as errors but as missing messages. */
  ignoreOverruns(): void {
    setOption(this.fd, SOL_NETLINK, NETLINK_OPTION.NO_ENOBUFS, 1);
  }

  /** Joins a multicast group of the protocol (RTNLGRP_...). */
  subscribe(group: number): void {
    if (!setOption(this.fd, SOL_NETLINK, NETLINK_OPTION.ADD_MEMBERSHIP, group))
      throw new SysError("setsockopt NETLINK_ADD_MEMBERSHIP", lastErrno(), `group ${group}`);
  }

  /** Sends messages as they are. @throws SysError */
  send(bytes: Uint8Array): void {
    const kernel = new Uint8Array(new ArrayBuffer(12));
    new DataView(kernel.buffer).setUint16(0, AF.NETLINK, LITTLE_ENDIAN);
    for (;;) {
      if (raw.sendto(this.fd, bytes, bytes.length, 0, kernel, 12) >= 0) return;
      const errno = lastErrno();
      if (errno !== EINTR) throw new SysError("send", errno, "netlink");
    }
  }

  /** One datagram's messages; empty when `wait` is false and none is there. They live until the next call. @throws SysError */
  receive(wait: boolean): Message[] {
    for (;;) {
      const n = raw.recv(this.fd, this.#buffer, this.#buffer.length, wait ? 0 : MSG_DONTWAIT);
      if (n >= 0) return messages(this.#buffer.subarray(0, n));
      const errno = lastErrno();
      if (errno === EINTR) continue;
      if (!wait && errno === EAGAIN) return [];
      throw new SysError("recv", errno, "netlink");
    }
  }

  /**
   * Sends messages of which the one with `seq` asks for an acknowledgement (or is a dump or a get), and gives every answer to
   * `onMessage` until that is done. The first refusal among the answers is thrown. @throws SysError
   */
  request(bytes: Uint8Array, seq: number, onMessage?: (m: Message) => void): void {
    this.send(bytes);
    let refused = 0;
    for (;;) {
      for (const m of this.receive(true)) {
        if (m.type === NLMSG.ERROR) {
          refused ||= errorOf(m);
          if (m.seq === seq) {
            if (refused) throw new SysError("netlink", refused);
            return;
          }
        } else if (m.type === NLMSG.DONE) {
          if (m.seq === seq) return;
        } else {
          onMessage?.(m);
        }
      }
    }
  }

  /** Sends one get request and returns its one answer's body, or the errno. Allocates little. */
  ask(bytes: Uint8Array, seq: number): Uint8Array | number {
    try {
      this.send(bytes);
      for (;;) {
        for (const m of this.receive(true)) {
          if (m.seq !== seq) continue;
          if (m.type === NLMSG.ERROR) return errorOf(m);
          return m.body;
        }
      }
    } catch (error) {
      return error instanceof SysError ? error.errno : 5;
    }
  }

  /** Calls back while notifications wait. */
  onReadable(callback: () => void): ReadWatch {
    this.#watch?.close();
    this.#watch = watchReadable(this.fd, callback);
    return this.#watch;
  }

  /** Reads away what waits: whether there was anything (an overrun counts). */
  drain(): boolean {
    let any = false;
    for (;;) {
      const n = raw.recv(this.fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
      if (n < 0) {
        if (lastErrno() !== ENOBUFS) return any;
      }
      any = true;
    }
  }

  close(): void {
    this.#watch?.close();
    close(this.fd);
  }
}
