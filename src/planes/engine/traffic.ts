/**
 * Packets from the kernel's queue to the director and its verdicts back.
 * @module
 */
import type { Director } from "../../core/director.ts";
import { HEADROOM, MAX_PACKET, Packet, TAILROOM } from "../../core/packet.ts";
import type { ReadWatch } from "../../sys/libc.ts";
import { NF, Nfqueue } from "../../sys/nfqueue.ts";
import { HOOK, queuedPacket } from "../../wire/nfqueue.ts";

/** Packets taken in one system call. */
const BATCH = 32;
/** Batches after which timers and the control socket have their turn. */
const BATCHES = 16;
/** Room for the message around a packet. */
const MESSAGE_ROOM = 256;
/** Queue numbers are per network namespace; ours begin at "lv". */
const FIRST_QUEUE = 0x6c76;
const QUEUES = 16;

/** Counts of what was seen. */
export interface TrafficCounts {
  packets: number;
  accepted: number;
  modified: number;
  dropped: number;
}

/** The packet loop. */
export class Traffic {
  readonly counts: TrafficCounts = { packets: 0, accepted: 0, modified: 0, dropped: 0 };
  readonly queue: Nfqueue;
  readonly #director: Director;
  readonly #packets: Packet[] = [];
  readonly #message = queuedPacket();
  readonly #watch: ReadWatch;
  readonly #broken: (error: unknown) => void;

  /** Binds a queue and begins; `broken` hears of bugs, the packet in question is dropped. @throws SysError */
  constructor(director: Director, broken: (error: unknown) => void) {
    this.#director = director;
    this.#broken = broken;
    for (let i = 0; i < BATCH; i++) {
      this.#packets.push(new Packet(HEADROOM + MESSAGE_ROOM + MAX_PACKET + TAILROOM));
    }
    this.queue = bindQueue(this.#packets.map((p) => p.bytes));
    this.#watch = this.queue.onReadable(() => this.#work());
  }

  #work(): void {
    for (let i = 0; i < BATCHES; i++) {
      const n = this.queue.receive();
      const now = performance.now();
      for (let slot = 0; slot < n; slot++) this.#one(slot, now);
      this.queue.flush();
      if (n < BATCH) return;
    }
  }

  #one(slot: number, now: number): void {
    const m = this.#message;
    if (!this.queue.read(slot, m)) return;
    const p = this.#packets[slot];
    p.at = m.at;
    p.end = m.end;
    p.mark = m.mark;
    p.modified = false;
    this.counts.packets++;
    let accept = false;
    try {
      accept = this.#show(p, m.hook, now);
    } catch (error) {
      this.#broken(error);
    }
    if (!accept) {
      this.counts.dropped++;
      this.queue.decide(m.id, NF.DROP);
    } else if (p.modified) {
      this.counts.modified++;
      this.queue.replace(m.id, slot, p.at, p.end - p.at);
    } else {
      this.counts.accepted++;
      this.queue.decide(m.id, NF.ACCEPT);
    }
  }

  #show(p: Packet, hook: number, now: number): boolean {
    if (hook === HOOK.LOCAL_IN) return this.#director.localIn(p, now) === "accept";
    if (hook === HOOK.FORWARD) return this.#director.forward(p, now) === "accept";
    return this.#director.localOut(p, now) === "accept";
  }

  close(): void {
    this.#watch.close();
    this.queue.close();
  }
}

function bindQueue(slots: Uint8Array[]): Nfqueue {
  for (let number = FIRST_QUEUE; ; number++) {
    try {
      return new Nfqueue(number, slots, HEADROOM);
    } catch (error) {
      // Somebody else's queue: the kernel says EPERM to a socket that does not own it.
      if (number === FIRST_QUEUE + QUEUES - 1) throw error;
    }
  }
}
