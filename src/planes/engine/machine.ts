/**
 * The machine as the director's host: the kernel's routing tables, and raw sockets that send by any next hop.
 * @module
 */
import { readFileSync } from "node:fs";
import type { AddressKind, Host, Route, Words } from "../../core/host.ts";
import type { Packet } from "../../core/packet.ts";
import type { Family } from "../../core/service.ts";
import { addressOf } from "../../sys/libc.ts";
import { RawSender } from "../../sys/rawsocket.ts";
import { ROUTE_TYPE, Routes } from "../../sys/route.ts";
import { ADDRESS_LEN, readWords, writeWords } from "../../wire/address.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { addressKind } from "../address-kind.ts";
import { SENT_BY_DIRECTOR } from "./filter.ts";
import { fragmentIpv4 } from "./fragmenting.ts";

const EMSGSIZE = 90;
/** Routes remembered; when there are more all are forgotten. */
const CACHE_SIZE = 4096;
const MEMORY_TTL_MS = 1000;
const PAGE_KIB = 4;

/** Counts of what became of packets sent. */
export interface SendCounts {
  sent: number;
  /** Refused by the kernel (no route, a firewall rule, a full device). */
  failed: number;
}

/** The network namespace of this process. */
export class Machine implements Host {
  routeEpoch = 1;
  readonly counts: SendCounts = { sent: 0, failed: 0 };
  readonly routes = new Routes();
  readonly #sender4 = new RawSender(4, SENT_BY_DIRECTOR);
  readonly #sender6: RawSender | undefined;
  readonly #cache = new Map<string | number, Route | null>();
  readonly #key = new Uint8Array(16);
  readonly #keyView = new DataView(this.#key.buffer);
  /** Where the buffers of packets lie; a handful of packet objects is used over and over. */
  readonly #addresses = new WeakMap<Uint8Array, number>();
  #memoryAt = Number.NEGATIVE_INFINITY;
  #memoryPages = 0;
  #portStart: number | undefined;

  constructor() {
    try {
      this.#sender6 = new RawSender(6, SENT_BY_DIRECTOR);
    } catch {
      this.#sender6 = undefined; // a kernel without IPv6
    }
    this.routes.onChange(() => this.refresh());
  }

  /** Forgets cached routes when the kernel's have changed. */
  refresh(): void {
    if (!this.routes.changed()) return;
    this.forget();
  }

  /** Forgets cached routes. */
  forget(): void {
    this.#cache.clear();
    this.#portStart = undefined;
    this.routeEpoch++;
  }

  #bytes(family: Family, address: Words): Uint8Array {
    writeWords(family, this.#keyView, 0, address);
    return this.#key.subarray(0, ADDRESS_LEN[family]);
  }

  route(family: Family, address: Words, mark: number): Route | undefined {
    const key =
      family === 4 && mark === 0
        ? address[0]
        : `${family} ${address[0]} ${address[1]} ${address[2]} ${address[3]} ${mark}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known ?? undefined;
    const route = this.#lookup(family, address, mark);
    if (this.#cache.size >= CACHE_SIZE) this.#cache.clear();
    this.#cache.set(key, route ?? null);
    return route;
  }

  #lookup(family: Family, address: Words, mark: number): Route | undefined {
    const answer = this.routes.lookup(this.#bytes(family, address), mark);
    if (!answer || answer.type > ROUTE_TYPE.MULTICAST) return undefined;
    const source = new Int32Array(4);
    if (answer.source.length === ADDRESS_LEN[family]) {
      readWords(family, new DataView(answer.source.buffer), 0, source);
    }
    const local = answer.type === ROUTE_TYPE.LOCAL;
    const device = answer.interface ? (this.routes.link(answer.interface)?.mtu ?? 0) : 0;
    return { local, mtu: Math.min(answer.mtu || device || 1500, 65535), source };
  }

  addressKind(family: Family, address: Words): AddressKind {
    return addressKind(this.routes, family, address);
  }

  send(packet: Packet, nextHopFamily: Family, nextHop: Words): void {
    let base = this.#addresses.get(packet.bytes);
    if (base === undefined) {
      base = addressOf(packet.bytes);
      this.#addresses.set(packet.bytes, base);
    }
    const sender = nextHopFamily === 4 ? this.#sender4 : this.#sender6;
    if (!sender) return;
    const errno = sender.send(base + packet.at, packet.end - packet.at, nextHop, packet.mark);
    if (errno === 0) {
      this.counts.sent++;
    } else if (errno === EMSGSIZE && nextHopFamily === 4 && !ipv4.dontFragment(packet.view, packet.at)) {
      // Raw sockets refuse what is longer than the device's MTU, so it is cut here.
      const mtu = this.route(4, nextHop, packet.mark)?.mtu ?? 576;
      const piece = (bytes: Uint8Array) => sender.send(bytes, bytes.length, nextHop, packet.mark) === 0;
      if (fragmentIpv4(packet.view, packet.at, packet.end, mtu, piece)) this.counts.sent++;
      else this.counts.failed++;
    } else {
      this.counts.failed++;
    }
  }

  get unprivilegedPortStart(): number {
    if (this.#portStart === undefined) {
      const text = read("/proc/sys/net/ipv4/ip_unprivileged_port_start");
      this.#portStart = text === "" ? 1024 : Number(text);
    }
    return this.#portStart;
  }

  interfaceMtu(name: string): number | undefined {
    return this.routes.link(name)?.mtu;
  }

  availablePages(): number {
    const now = performance.now();
    if (now - this.#memoryAt > MEMORY_TTL_MS) {
      this.#memoryAt = now;
      const text = read("/proc/meminfo");
      const kib = (name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
      this.#memoryPages = Math.floor((kib("MemFree") + kib("Buffers")) / PAGE_KIB);
    }
    return this.#memoryPages;
  }

  close(): void {
    this.#sender4.close();
    this.#sender6?.close();
    this.routes.close();
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
