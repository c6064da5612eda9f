/**
 * The programs under a flood: rules of every kind, a clock, and what must be true of all counts when nothing moves.
 * @module
 */
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { TableWriter } from "../../src/planes/ebpf/hash-tables.ts";
import { image, loadImage } from "../../src/planes/ebpf/image.ts";
import {
  bucketsFor,
  CONFIG,
  CONN,
  CONN_FLAG,
  DEST,
  DEST_STATS,
  DROP,
  HOP,
  LOAD,
  PHASE,
  PROGRAMS,
  STATE,
  STATS,
  TEST,
} from "../../src/planes/ebpf/layout.ts";
import { Mirror } from "../../src/planes/ebpf/mirror.ts";
import { Rules } from "../../src/planes/ebpf/rules.ts";
import { TestRun } from "../../src/sys/bpf/program.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { RecordingHost } from "../../src/testkit/recording-host.ts";
import type { Tally, Target } from "./flood-worker.ts";
import { LoadedMaps } from "./twins.ts";

const LO = 1;
const TICK_MS = 20;
/** Longest of all timeouts, and a template's grace, ms. */
const LONGEST_MS = 16 * 60_000;
const SERVERS = 4;
const VIP = "10.9.0.1";
const VIP6 = "2001:db8:9::1";

const target = (
  protocol: Target["protocol"],
  port: number,
  method: "nat" | "dr" | "tun" | "fullnat",
  scheduler: string,
  more: { persistent?: boolean; family?: 6 } = {},
) => ({
  family: more.family ?? (4 as const),
  protocol,
  vip: more.family ? VIP6 : VIP,
  port,
  method,
  scheduler,
  persistent: more.persistent ?? false,
  ...(method === "nat" && { answers: 8000 + port }),
});

/** What flows go to. */
export const BED = {
  targets: [
    target("tcp", 80, "nat", "rr"),
    target("tcp", 81, "dr", "wlc"),
    target("udp", 53, "nat", "lc"),
    target("udp", 54, "tun", "sh"),
    target("tcp", 443, "nat", "wrr", { persistent: true }),
    target("tcp", 82, "nat", "sed", { family: 6 }),
    target("udp", 55, "fullnat", "twos"),
    target("sctp", 90, "nat", "nq"),
  ],
} as const;

/** A connection or template. */
export interface Entry {
  /** Slot and generation. */
  readonly name: string;
  readonly due: number;
  readonly children: number;
}

/** Counts of what is in the slab. */
interface Census {
  live: number;
  templates: number;
  /** By destination. */
  readonly active: Map<number, number>;
  readonly inactive: Map<number, number>;
  readonly persistent: Map<number, number>;
  /** By slot of a template. */
  readonly children: Map<number, number>;
}

/** See the module's description. */
export class FloodBed {
  readonly ingress: number;
  readonly xdp: number;
  readonly faults: string[] = [];
  checks = 0;
  readonly #maps: LoadedMaps;
  readonly #rules: Rules;
  readonly #sweep: TestRun;
  readonly #slots: number;
  #now = 1_000_000;
  readonly #requests = BED.targets.map(() => 0);
  readonly #replies = BED.targets.map(() => 0);
  #census: Census | undefined;

  /** @param slots of the connection table; the first is never used */
  constructor(slots: number) {
    this.#slots = slots;
    const host = new RecordingHost([VIP, VIP6]);
    this.#rules = new Rules(host);
    const object = loadImage(image().bytes, {
      connections: slots,
      buckets: bucketsFor(slots),
      services: 64,
      dests: 256,
    });
    this.#maps = new LoadedMaps(object);
    const route = () => ({ source: new Uint8Array(16).fill(10, 0, 4), local: false });
    const mirror = new Mirror(this.#maps, this.#rules, route, new TableWriter(this.#maps));
    this.ingress = object.program(PROGRAMS.ingress);
    this.xdp = object.program(PROGRAMS.xdp);
    this.#sweep = new TestRun(object.program(PROGRAMS.sweep));
    const config = this.#maps.array("config").view;
    config.setUint32(CONFIG.at.test, TEST.clock | TEST.output, true);
    config.setUint32(CONFIG.at.slots, slots, true);
    config.setBigUint64(CONFIG.at.bucket_mask, BigInt(bucketsFor(slots) - 1), true);
    const state = this.#maps.array("state").view;
    state.setUint32(STATE.at.fresh, 1, true);
    state.setUint32(STATE.at.hand, 1, true);
    mirror.config();
    for (const t of BED.targets) this.#serve(mirror, t);
    this.#knowHops();
    this.#tell();
  }

  #serve(mirror: Mirror, t: (typeof BED.targets)[number]): void {
    const { family, protocol, port, method, scheduler, persistent } = t;
    const id: ServiceId = { kind: "address", family, protocol, address: t.vip, port };
    const spec = serviceSpec(id, {
      scheduler,
      persistent,
      timeoutS: persistent ? 300 : 0,
    });
    this.#rules.apply({ op: "addService", spec, id: this.#rules.nextService });
    mirror.serviceAdded(this.#rules.table.find(id));
    for (let n = 1; n <= SERVERS; n++) {
      const address = family === 4 ? `10.2.0.${n}` : `2001:db8:2::${n}`;
      const one = destination(address, { method, port: method === "nat" ? 8000 + port : port, weight: n });
      const number = this.#rules.nextDestination;
      this.#rules.apply({ op: "addDestination", service: id, spec: one, id: number });
      mirror.destinationAdded(this.#rules.table.find(id).destinations[0]!, "nothing");
    }
  }

  /** XDP sends where TC found the way: say so, for good. */
  #knowHops(): void {
    const outlet = new Uint8Array(4);
    new DataView(outlet.buffer).setUint32(0, LO, true);
    this.#maps.map("outlets").updateIndex(LO, outlet);
    const stats = this.#maps.map("dest_stats");
    for (const [, id] of this.#rules.destinations()) {
      const value = stats.lookupIndex(id)!.slice();
      const v = new DataView(value.buffer);
      for (let at = 0; at < value.length; at += Math.ceil(DEST_STATS.size / 8) * 8) {
        v.setBigUint64(at + DEST_STATS.at.hop_until, 1n << 62n, true);
        v.setUint32(at + DEST_STATS.at.hop_ifindex, LO, true);
        v.setUint32(at + DEST_STATS.at.hop_kind, HOP.neighbour, true);
        v.setUint32(at + DEST_STATS.at.hop_mtu, 1500, true);
      }
      stats.updateIndex(id, value);
    }
  }

  close(): void {
    this.#maps.close();
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  #tell(): void {
    this.#maps.array("config").view.setBigUint64(CONFIG.at.test_now_ns, BigInt(this.#now) * 1_000_000n, true);
  }

  /** A tick of the timer, `ms` after the last one. */
  tick(ms = TICK_MS): void {
    this.#now += ms;
    this.#tell();
    this.#sweep.run(64, { mark: 1 });
    this.#census = undefined;
  }

  /** Lets everything come to its end: every timeout, then the templates, whose last minute begins when they are alone. */
  pass(): void {
    this.#now += LONGEST_MS;
    for (let n = 0; n < 250; n++) this.tick();
    this.#now += LONGEST_MS;
    for (let n = 0; n < 250; n++) this.tick();
  }

  /** The clock, ms. */
  get now(): number {
    return this.#now;
  }

  /** Every connection and template: what tells it from others, when it is due (ms), and how many it holds. */
  *entries(): Generator<Entry> {
    const { view } = this.#maps.array("slab");
    const fresh = this.#maps.array("state").view.getUint32(STATE.at.fresh, true);
    for (let slot = 1; slot < Math.min(fresh, this.#slots); slot++) {
      const at = slot * CONN.size;
      if (view.getUint8(at + CONN.at.ctl) !== PHASE.live) continue;
      yield {
        name: `${slot}/${view.getUint32(at + CONN.at.ctl + 4, true)}`,
        due: Number(view.getBigUint64(at + CONN.at.expires, true) / 1_000_000n),
        children: view.getUint32(at + CONN.at.children, true),
      };
    }
  }

  // --- what must be ---------------------------------------------------------------------------------------------------------

  expect(what: string, wanted: number, found: number): void {
    this.checks++;
    if (wanted !== found) this.faults.push(`${what}: ${found}, not ${wanted}`);
  }

  /** Notes what threads say that they did. */
  tallied(tallies: readonly Tally[]): void {
    this.#census = undefined;
    for (const tally of tallies) {
      for (const [n, count] of tally.requests.entries()) this.#requests[n]! += count;
      for (const [n, count] of tally.replies.entries()) this.#replies[n]! += count;
    }
  }

  #count(): Census {
    if (this.#census) return this.#census;
    const { view } = this.#maps.array("slab");
    const census: Census = {
      live: 0,
      templates: 0,
      active: new Map(),
      inactive: new Map(),
      persistent: new Map(),
      children: new Map(),
    };
    const add = (map: Map<number, number>, key: number) => map.set(key, (map.get(key) ?? 0) + 1);
    for (let slot = 1; slot < this.#slots; slot++) {
      const at = slot * CONN.size;
      if (view.getUint8(at + CONN.at.ctl) !== PHASE.live) continue;
      const flags = view.getUint16(at + CONN.at.ctl + 2, true);
      const dest = view.getUint32(at + CONN.at.dest, true);
      const parent = view.getUint32(at + CONN.at.parent, true);
      if (flags & CONN_FLAG.template) {
        census.templates++;
        add(census.persistent, dest);
        continue;
      }
      census.live++;
      add(flags & CONN_FLAG.inactive ? census.inactive : census.active, dest);
      if (parent !== 0) add(census.children, parent);
    }
    this.#census = census;
    return census;
  }

  /** Connections, without templates. */
  live(): number {
    return this.#count().live;
  }
  templates(): number {
    return this.#count().templates;
  }

  #counters(map: "service_stats" | "dest_stats", size: number, id: number): number[] {
    const value = this.#maps.map(map).lookupIndex(id)!;
    const v = new DataView(value.buffer, value.byteOffset);
    const sums = [0, 0, 0];
    for (let cpu = 0; cpu < value.length; cpu += Math.ceil(size / 8) * 8)
      for (let i = 0; i < 3; i++) sums[i]! += Number(v.getBigUint64(cpu + 8 * i, true));
    return sums;
  }

  /** Connections that were ever made. */
  scheduled(): number {
    return this.#counters("service_stats", STATS.size, 0)[0]!;
  }

  /** Packets that found no slot. */
  tableFull(): number {
    return Number(this.#maps.array("state").view.getBigUint64(STATE.at.drops + 8 * DROP.tableFull, true));
  }

  /** What is true whenever nothing moves. */
  check(): void {
    const census = this.#count();
    const loads = this.#maps.array("loads").view;
    const dests = this.#maps.array("dests").view;
    const sums = BED.targets.map(() => [0, 0, 0]);
    for (const [server, id] of this.#rules.destinations()) {
      const load = (field: keyof typeof LOAD.at) => loads.getUint32(id * LOAD.size + LOAD.at[field], true);
      const name = this.#rules.describe(server);
      this.expect(`${name}: active`, census.active.get(id) ?? 0, load("active"));
      this.expect(`${name}: inactive`, census.inactive.get(id) ?? 0, load("inactive"));
      const persistent = dests.getUint32(id * DEST.size + DEST.at.persistent, true);
      this.expect(`${name}: templates`, census.persistent.get(id) ?? 0, persistent);
      const service = this.#rules.serviceNumber(server.service) - 1;
      for (const [i, n] of this.#counters("dest_stats", DEST_STATS.size, id).entries())
        sums[service]![i]! += n;
    }
    for (const [n, sum] of sums.entries()) {
      const counted = this.#counters("service_stats", STATS.size, n + 1);
      const name = `service ${n + 1}`;
      for (const [i, what] of ["connections", "requests", "replies"].entries())
        this.expect(`${name}: ${what} of its servers`, counted[i]!, sum[i]!);
      this.expect(`${name}: requests`, this.#requests[n]!, counted[1]!);
      this.expect(`${name}: replies`, this.#replies[n]!, counted[2]!);
    }
    this.#checkTemplates(census);
    this.#checkSlots(census);
  }

  #checkTemplates(census: Census): void {
    const { view } = this.#maps.array("slab");
    for (const [slot, children] of census.children) {
      const found = view.getUint32(slot * CONN.size + CONN.at.children, true);
      if (found !== children) this.faults.push(`template ${slot}: ${found} connections, not ${children}`);
    }
    this.checks++;
  }

  /** Each slot is a connection, waits to be one again, or was never used. */
  #checkSlots(census: Census): void {
    const fresh = Math.min(this.#maps.array("state").view.getUint32(STATE.at.fresh, true), this.#slots);
    const free = this.#freeSlots();
    this.expect("slots used or free", fresh - 1, census.live + census.templates + free.length);
    this.expect("free slots, each once", free.length, new Set(free).size);
    this.expect("free slot 0", 0, free.filter((slot) => slot === 0).length);
  }

  /** What waits in the queue: taken out, and put back in the same order. */
  #freeSlots(): number[] {
    const queue = this.#maps.map("free_slots");
    const free: number[] = [];
    for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) free.push(slot);
    for (const slot of free) queue.push(slot);
    return free;
  }

  /** Nothing is left of any connection. */
  checkEmpty(): void {
    const { live, templates } = this.#count();
    this.expect("connections left", 0, live);
    this.expect("templates left", 0, templates);
    // References, and how many lie elsewhere: the words of a bucket.
    const { bytes } = this.#maps.array("buckets");
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
    this.expect("words of the hash table in use", 0, words.filter((word) => word !== 0n).length);
  }

  /** A line about everything. */
  describe(): string {
    const { live, templates } = this.#count();
    return `${live} connections, ${templates} templates, ${this.scheduled()} made, ${this.tableFull()} refused`;
  }
}
