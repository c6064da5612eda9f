/**
 * TUN and TAP devices: a network interface whose other end is this process.
 * @module
 */

import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { check, close, lastErrno, type ReadWatch, raw, SysError, watchReadable } from "./libc.ts";

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const TUNSETIFF = 0x400454ca;
const IFF = { tun: 0x0001, tap: 0x0002, NO_PI: 0x1000 } as const;
const EAGAIN = 11;

/** An open device. It goes away when closed. */
export class Tun {
  readonly fd: number;
  /** Interface name, as the kernel chose it when the wanted one was a pattern ("lv%d"). */
  readonly name: string;
  #watch: ReadWatch | undefined;

  /**
   * Opens a device in the namespace this thread is in, without the four-byte packet information header. It is down; bring it
   * up with `ip link`. "tun" carries IP packets, "tap" Ethernet frames.
   * @throws SysError
   */
  constructor(name: string, mode: "tun" | "tap" = "tun") {
    this.fd = check(
      "open",
      raw.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC, 0),
      "open /dev/net/tun",
    );
    const request = new Uint8Array(new ArrayBuffer(40)); // struct ifreq
    for (let i = 0; i < Math.min(name.length, 15); i++) request[i] = name.charCodeAt(i);
    new DataView(request.buffer).setUint16(16, IFF[mode] | IFF.NO_PI, LITTLE_ENDIAN);
    if (raw.ioctl(this.fd, TUNSETIFF, request) < 0) {
      const errno = lastErrno();
      close(this.fd);
      throw new SysError("ioctl TUNSETIFF", errno, `make ${mode} device ${name}`);
    }
    this.name = String.fromCharCode(...request.subarray(0, request.indexOf(0)));
  }

  /** Reads one packet into `into`: its length, or 0 when none is waiting. @throws SysError */
  read(into: Uint8Array): number {
    const n = raw.read(this.fd, into, into.length);
    if (n >= 0) return n;
    const errno = lastErrno();
    if (errno === EAGAIN) return 0;
    throw new SysError("read", errno, this.name);
  }

  /** Hands one packet to the kernel as received from this interface. Returns false when it was not taken. */
  write(packet: Uint8Array): boolean {
    return raw.write(this.fd, packet, packet.length) === packet.length;
  }

  /** Calls back while packets wait to be read. */
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
