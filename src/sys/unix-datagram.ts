/**
 * Datagrams to unix sockets, which node has no class for: the service manager's notify socket, the system log.
 * @module
 */
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { close, raw } from "./libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SOCK } from "./socket.ts";

/** Longest path in `struct sockaddr_un`, its final zero included. */
const PATH_MAX = 108;

/** `struct sockaddr_un`; a leading "@" names an abstract socket. Undefined when the path is too long. */
export function sockaddrUn(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length >= PATH_MAX) return undefined;
  const abstract = path.startsWith("@");
  const b = new Uint8Array(new ArrayBuffer(2 + name.length + (abstract ? 0 : 1)));
  new DataView(b.buffer).setUint16(0, AF.UNIX, LITTLE_ENDIAN);
  b.set(name, 2);
  if (abstract) b[2] = 0;
  return b;
}

/** Sends texts to the unix datagram socket at a path. A receiver that is gone or full costs a datagram, nothing more. */
export class DatagramSender {
  readonly #address: Uint8Array | undefined;
  #fd: number;

  constructor(path: string) {
    this.#address = sockaddrUn(path);
    this.#fd = this.#address ? openSocket(AF.UNIX, SOCK.DGRAM | SOCK.NONBLOCK, 0) : -1;
  }

  /** Whether it was taken. */
  send(text: string): boolean {
    if (!this.#address || this.#fd < 0) return false;
    const bytes = new TextEncoder().encode(text);
    return (
      raw.sendto(this.#fd, bytes, bytes.length, MSG_DONTWAIT, this.#address, this.#address.length) ===
      bytes.length
    );
  }

  close(): void {
    close(this.#fd);
    this.#fd = -1;
  }
}
