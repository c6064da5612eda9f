/**
 * One of several threads that send packets to the same programs at the same time (see flood.ts). A flow is a number: service and
 * client follow from it.
 * @module
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { TestRun } from "../../src/sys/bpf/program.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { seeded } from "../../src/testkit/random.ts";

const ETHERNET = 14;
/** What programs return. */
const TC = { pass: -1, drop: 2, redirect: 7 } as const;
const XDP = { drop: 1, pass: 2, redirect: 4 } as const;
/** Ports of a client. */
const PORTS = 50;
const FIRST_PORT = 1024;

/** A service that flows go to. */
export interface Target {
  readonly family: 4 | 6;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly vip: string;
  readonly port: number;
  /** Replies come through the director, from this port of the server. */
  readonly answers?: number;
}

/** What a thread starts from. */
export interface WorkerData {
  readonly targets: readonly Target[];
  readonly ingress: number;
  /** The XDP program that sees packets first, if any. */
  readonly xdp?: number;
}

/** What a thread is to do. */
export type Order =
  /** The first packet of every flow from `from` to `to`, `stride` apart. */
  | { readonly kind: "open"; readonly from: number; readonly to: number; readonly stride: number }
  /** Random packets of random flows below `flows`. */
  | { readonly kind: "mix"; readonly packets: number; readonly flows: number; readonly seed: number };

/** What became of a thread's packets. */
export interface Tally {
  sent: number;
  dropped: number;
  passed: number;
  /** Requests that were forwarded, by service. */
  readonly requests: number[];
  /** Replies that were translated, by service. */
  readonly replies: number[];
}

/** Words of TCP's life, more often than not in order. */
const REQUESTS = ["S", "A", "A", "FA", "R", "S"];
const REPLIES = ["SA", "A", "FA", "R"];
const CHUNKS = ["INIT", "COOKIE-ECHO", "DATA", "SHUTDOWN", "ABORT"];

/** A frame for each kind of packet of a service; client and server are written into it. */
class Frames {
  readonly #frames: Uint8Array[];
  readonly #v6: boolean;

  constructor(t: Target, reply: boolean, words: readonly string[]) {
    this.#v6 = t.family === 6;
    const end = (address: string, port: number) => (this.#v6 ? `[${address}]:${port}` : `${address}:${port}`);
    const client = end(this.#v6 ? "2001:db8:1::" : "10.64.0.0", 1);
    const server = end(this.#v6 ? "2001:db8:2::" : "10.2.0.0", t.answers ?? 0);
    const ends = reply ? `${server} > ${client}` : `${client} > ${end(t.vip, t.port)}`;
    this.#frames = words.map((word) => {
      const ip = buildPacket(parseNote(`${t.protocol} ${ends} ${word} ttl=64`));
      const frame = new Uint8Array(ETHERNET + ip.length);
      frame.set(this.#v6 ? [0x86, 0xdd] : [8, 0], 12);
      frame.set(ip, ETHERNET);
      return frame;
    });
  }

  get count(): number {
    return this.#frames.length;
  }

  /** Writes frame n between client number `client` and, for replies, server number `server`. @returns its length */
  write(into: Uint8Array, n: number, client: number, server = -1): number {
    const frame = this.#frames[n]!;
    into.set(frame);
    const at = server < 0 ? { address: 0, port: 0 } : { address: 1, port: 2 };
    const size = this.#v6 ? 16 : 4;
    const source = ETHERNET + (this.#v6 ? 8 : 12);
    const ends = source + 2 * size;
    const address = source + at.address * size + size - 3;
    const number = Math.floor(client / PORTS);
    into[address] = (into[address]! & 0xc0) | (number >> 16);
    into[address + 1] = number >> 8;
    into[address + 2] = number;
    const port = FIRST_PORT + (client % PORTS);
    into[ends + at.port] = port >> 8;
    into[ends + at.port + 1] = port;
    if (server >= 0) into[source + size - 1] = server;
    return frame.length;
  }
}

/** Makes flows' packets and shows them to the programs. */
export class Sender {
  readonly #targets: readonly Target[];
  readonly #tc: TestRun;
  readonly #xdp: TestRun | undefined;
  readonly #requests: Frames[];
  readonly #replies: Frames[];
  /** Last byte of the server's address that a flow was sent to, 0 = not known. */
  #servers = new Uint8Array(0);
  tally: Tally = { sent: 0, dropped: 0, passed: 0, requests: [], replies: [] };

  constructor({ targets, ingress, xdp }: WorkerData) {
    this.#targets = targets;
    this.#tc = new TestRun(ingress);
    this.#xdp = xdp === undefined ? undefined : new TestRun(xdp, "xdp");
    const words = (t: Target, tcp: readonly string[]) =>
      t.protocol === "tcp" ? tcp : t.protocol === "udp" ? ["len=5"] : CHUNKS;
    this.#requests = targets.map((t) => new Frames(t, false, words(t, REQUESTS)));
    this.#replies = targets.map((t) => new Frames(t, true, words(t, REPLIES)));
  }

  obey(order: Order): Tally {
    const none = () => this.#targets.map(() => 0);
    this.tally = { sent: 0, dropped: 0, passed: 0, requests: none(), replies: none() };
    if (order.kind === "open") {
      this.#know(order.to);
      for (let flow = order.from; flow < order.to; flow += order.stride) this.#request(flow, 0);
    } else this.#mix(order);
    return this.tally;
  }

  #know(flows: number): void {
    if (this.#servers.length >= flows) return;
    const more = new Uint8Array(flows);
    more.set(this.#servers);
    this.#servers = more;
  }

  #mix({ packets, flows, seed }: Extract<Order, { kind: "mix" }>): void {
    const random = seeded(seed);
    this.#know(flows);
    for (let n = 0; n < packets; n++) {
      const flow = Math.floor(random() * flows);
      const target = flow % this.#targets.length;
      if (this.#targets[target]!.answers && this.#servers[flow]! > 0 && random() < 0.4)
        this.#reply(flow, Math.floor(random() * this.#replies[target]!.count));
      else this.#request(flow, Math.floor(random() * this.#requests[target]!.count));
    }
  }

  #request(flow: number, kind: number): void {
    const target = flow % this.#targets.length;
    const client = Math.floor(flow / this.#targets.length);
    const write = (into: Uint8Array) => this.#requests[target]!.write(into, kind, client);
    const sent = this.#send(write);
    if (!sent) return;
    this.tally.requests[target]!++;
    const v6 = this.#targets[target]!.family === 6;
    this.#servers[flow] = sent[ETHERNET + (v6 ? 39 : 19)]!;
  }

  #reply(flow: number, kind: number): void {
    const target = flow % this.#targets.length;
    const client = Math.floor(flow / this.#targets.length);
    const server = this.#servers[flow]!;
    if (this.#send((into) => this.#replies[target]!.write(into, kind, client, server)))
      this.tally.replies[target]!++;
  }

  /** The frame as it left, if it did. */
  #send(write: (into: Uint8Array) => number): Uint8Array | undefined {
    this.tally.sent++;
    const length = write(this.#tc.input);
    if (this.#xdp) {
      write(this.#xdp.input);
      const action = this.#xdp.run(length);
      if (action === XDP.redirect) return this.#xdp.output;
      if (action !== XDP.pass) throw new Error(`XDP said ${action}`);
    }
    const action = this.#tc.run(length);
    if (action === TC.redirect) return this.#tc.output;
    if (action === TC.drop) this.tally.dropped++;
    else if (action === TC.pass) this.tally.passed++;
    else throw new Error(`TC said ${action}`);
    return undefined;
  }
}

/** Obeys orders until the port closes. */
export function serve(): void {
  const sender = new Sender(workerData as WorkerData);
  const port = parentPort as MessagePort;
  port.on("message", (order: Order) => port.postMessage(sender.obey(order)));
}
