/**
 * Answers for a VIP that is on no interface: a `local` route makes the host take its packets, a packet socket hears who asks for
 * it by ARP or NDP and answers with the interface's MAC address.
 * @module
 */
import { TableError } from "../../core/errors.ts";
import { SysError } from "../../sys/libc.ts";
import { PacketSocket } from "../../sys/rawsocket.ts";
import { type Link, ROUTE_TYPE, type Routes } from "../../sys/route.ts";
import { parseAddress } from "../../wire/address.ts";
import { answerArp, answerSolicitation, gratuitous } from "./neighbours.ts";

const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const FRAME_ROOM = 2048;

/** One address announced. */
class Announcement {
  readonly address: string;
  readonly interface: string;
  readonly #bytes: Uint8Array;
  readonly #routes: Routes;
  readonly #link: Link;
  readonly #socket: PacketSocket;
  readonly #frame = new Uint8Array(new ArrayBuffer(FRAME_ROOM));

  constructor(address: string, device: string, routes: Routes, again: boolean) {
    const parsed = parseAddress(address);
    if (!parsed) throw new TableError("EINVAL", `announce ${address}: not an IP address`);
    const link = routes.link(device);
    if (!link) throw new TableError("ENODEV", `announce ${address}: there is no interface "${device}"`);
    if (link.mac.length !== 6)
      throw new TableError("EINVAL", `announce ${address}: ${device} is not an Ethernet interface`);
    const here = routes.lookup(parsed.bytes, 0)?.type === ROUTE_TYPE.LOCAL;
    if (here && !again)
      throw new TableError(
        "EEXIST",
        `announce ${address}: this host has the address already and answers for it`,
      );
    this.address = address;
    this.interface = device;
    this.#bytes = parsed.bytes;
    this.#routes = routes;
    this.#link = link;
    this.#socket = new PacketSocket(link.index, parsed.family === 4 ? ETH_P_ARP : ETH_P_IPV6);
    try {
      if (!here) routes.localRoute("add", parsed.bytes, link.index);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#socket.onReadable(() => this.#answer());
    this.#socket.send(gratuitous(link.mac, parsed.bytes));
  }

  #answer(): void {
    for (;;) {
      const length = this.#socket.read(this.#frame);
      if (length === 0) return;
      if (this.#socket.fromHere) continue;
      const frame = this.#frame.subarray(0, length);
      const answer = (this.#bytes.length === 4 ? answerArp : answerSolicitation)(
        frame,
        this.#link.mac,
        this.#bytes,
      );
      if (answer) this.#socket.send(answer);
    }
  }

  close(): void {
    this.#socket.close();
    try {
      this.#routes.localRoute("remove", this.#bytes, this.#link.index);
    } catch (error) {
      // The interface went away and took the route with it.
      if (!(error instanceof SysError)) throw error;
    }
  }
}

/** The addresses that this engine answers for. */
export class Announcer {
  readonly #routes: Routes;
  readonly #announced = new Map<string, Announcement>();

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  list(): { address: string; interface: string }[] {
    return [...this.#announced.values()].map((a) => ({ address: a.address, interface: a.interface }));
  }

  /**
   * @param again a former engine announced it and was killed: its route may still be there
   * @throws TableError
   */
  add(address: string, device: string, again = false): void {
    if (this.#announced.has(address))
      throw new TableError("EEXIST", `announce ${address}: announced already`);
    this.#announced.set(address, new Announcement(address, device, this.#routes, again));
  }

  /** @throws TableError ESRCH */
  remove(address: string): void {
    const announcement = this.#announced.get(address);
    if (!announcement) throw new TableError("ESRCH", `withdraw ${address}: it is not announced`);
    this.#announced.delete(address);
    announcement.close();
  }

  close(): void {
    for (const a of this.#announced.values()) a.close();
    this.#announced.clear();
  }
}
