/**
 * The model and the BPF programs side by side: the same rules, the same clock, the same packets. What differs is told in words.
 * @module
 */
import { FLAG } from "../../src/core/connections.ts";
import type { DestinationId, DestinationSpec } from "../../src/core/destination.ts";
import { Director } from "../../src/core/director.ts";
import type { Meter } from "../../src/core/estimator.ts";
import { Flow, PROTO } from "../../src/core/flow.ts";
import { Packet } from "../../src/core/packet.ts";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import type { Settings } from "../../src/core/settings.ts";
import { sctpFirstChunk } from "../../src/core/states/sctp.ts";
import type { Timeouts } from "../../src/core/timeouts.ts";
import { type End, endBytes } from "../../src/planes/ebpf/ends.ts";
import { TableWriter } from "../../src/planes/ebpf/hash-tables.ts";
import { image, loadImage } from "../../src/planes/ebpf/image.ts";
import {
  CALL,
  CONFIG,
  CONN,
  CONN_FLAG,
  CONN_MARK,
  DEST,
  DEST_FLAG,
  DEST_STATS,
  ESTIMATE,
  HOP,
  LOAD,
  PHASE,
  PROGRAMS,
  SERVICE_STATE,
  STATE,
  STATS,
  TEST,
  TRACE,
  VERDICT,
} from "../../src/planes/ebpf/layout.ts";
import { type ArrayMemory, type MapName, Maps } from "../../src/planes/ebpf/maps.ts";
import { Migration } from "../../src/planes/ebpf/migration.ts";
import { Mirror } from "../../src/planes/ebpf/mirror.ts";
import type { Operation } from "../../src/planes/ebpf/operation.ts";
import { Rules } from "../../src/planes/ebpf/rules.ts";
import { bindStrays, EntryWriter, MapReceiver } from "../../src/planes/ebpf/sync/receiver.ts";
import type { SyncReceiver } from "../../src/planes/sync/site.ts";
import { BpfMap, type Mapping } from "../../src/sys/bpf/map.ts";
import type { BpfObject } from "../../src/sys/bpf/object.ts";
import { call, TestRun } from "../../src/sys/bpf/program.ts";
import { describePacket } from "../../src/testkit/packet-compare.ts";
import { RecordingHost } from "../../src/testkit/recording-host.ts";
import { formatAddress, toWords } from "../../src/wire/address.ts";
import { structs } from "../../src/wire/btf.ts";
import { section } from "../../src/wire/elf.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";

const ETHERNET = 14;
/** Index of the loopback interface. */
const LO = 1;
const XDP = { drop: 1, pass: 2 } as const;
const SENT_BY_XDP = "send by XDP";
/** The packet path of the model counts in ticks of this length. */
export const TICK_MS = 100;

/** Where a packet is shown to the model: programs see every packet at the same place. */
export type Way = "in" | "through";

/** The random numbers of `bpf/random.h` under TEST_RANDOM: in [0, 1), from a word that both sides get. */
class Chance {
  word = 1;
  /** Every number is the lowest: what is drawn by lot is always drawn. */
  lowest = false;
  readonly next = (): number => {
    if (this.lowest) return 0;
    this.word = (Math.imul(this.word, 1664525) + 1013904223) >>> 0;
    return this.word / 0x100000000;
  };
}

/** Maps of an object that nobody pinned. */
export class LoadedMaps extends Maps {
  readonly #object: BpfObject;
  readonly #maps = new Map<string, BpfMap>();
  readonly #memory = new Map<string, { mapping: Mapping; memory: ArrayMemory }>();

  constructor(object: BpfObject) {
    super("");
    this.#object = object;
  }
  program(name: string): number {
    return this.#object.program(name);
  }
  override map(name: MapName): BpfMap {
    const known = this.#maps.get(name);
    if (known) return known;
    const map = new BpfMap(this.#object.map(name));
    this.#maps.set(name, map);
    return map;
  }
  override array(name: MapName): ArrayMemory {
    let found = this.#memory.get(name);
    if (!found) {
      const mapping = this.map(name).map();
      found = { mapping, memory: { bytes: mapping.bytes, view: new DataView(mapping.bytes.buffer) } };
      this.#memory.set(name, found);
    }
    return found.memory;
  }
  override close(): void {
    for (const { mapping } of this.#memory.values()) mapping.close();
    this.#object.close();
  }
}

/** What became of a packet, in words that both sides share. */
interface Fate {
  readonly verdict: string;
  readonly bytes: Uint8Array | undefined;
}

/** What is loaded into the kernel. */
interface Programs {
  readonly maps: LoadedMaps;
  readonly mirror: Mirror;
  readonly run: TestRun;
  readonly sweep: number;
  readonly front: TestRun | undefined;
}

/** See the module's description. */
export class Twins {
  readonly host: RecordingHost;
  readonly model: Director;
  readonly rules: Rules;
  now = 100_000;
  /** Why the programs dropped last, `DROP`. */
  reason = 0;
  readonly #xdp: boolean;
  #programs: Programs;
  /** Packets that XDP finished. */
  fronted = 0;
  /** Packets that were shown to both. */
  shown = 0;
  readonly #packet = new Packet();
  readonly #chance = new Chance();
  #word = 1;

  /** @param xdp the XDP program sees every packet first, as on an interface that has both */
  constructor(own: readonly string[], xdp = false) {
    this.host = new RecordingHost(own);
    this.model = new Director({ host: this.host, random: this.#chance.next, now: this.now });
    this.rules = new Rules(this.host);
    this.#xdp = xdp;
    this.#programs = this.#load();
    const state = this.maps.array("state").view;
    state.setUint32(STATE.at.fresh, 1, true);
    state.setUint32(STATE.at.hand, 1, true);
    state.setUint32(STATE.at.answer_credit, 50, true);
    state.setBigUint64(STATE.at.defend_at, BigInt(this.now + 1000) * 1_000_000n, true);
    this.memory(this.host.pages);
    this.#setMtu();
    this.#mirror.config();
    this.#tell();
  }

  /** The programs, with maps of their own that have no rules yet. */
  #load(more: readonly string[] = []): Programs {
    const front = this.#xdp ? [PROGRAMS.xdp] : [];
    const used = [PROGRAMS.ingress, PROGRAMS.sweep, PROGRAMS.synced, ...front, ...more];
    const sizes = { connections: 4096, buckets: 2048, services: 64, dests: 256 };
    const object = loadImage(image().bytes, sizes, used);
    const maps = new LoadedMaps(object);
    const mirror = new Mirror(
      maps,
      this.rules,
      (server) => {
        const source = new Uint8Array(16);
        const view = new DataView(source.buffer);
        const route = this.host.route(server.family, server.words, 0)!;
        const words = server.family === 4 ? 1 : 4;
        for (let i = 0; i < words; i++) view.setInt32(4 * i, route.source[i]);
        return { source, local: route.local };
      },
      new TableWriter(maps),
    );
    if (this.#xdp) maps.map("outlets").updateIndex(LO, wordBytes(LO));
    const config = maps.array("config").view;
    config.setUint32(CONFIG.at.test, TEST.clock | TEST.output | TEST.random | TEST.memory, true);
    config.setUint32(CONFIG.at.slots, 4096, true);
    config.setBigUint64(CONFIG.at.bucket_mask, 2047n, true);
    return {
      maps,
      mirror,
      run: new TestRun(object.program(PROGRAMS.ingress)),
      sweep: object.program(PROGRAMS.sweep),
      front: this.#xdp ? new TestRun(object.program(PROGRAMS.xdp), "xdp") : undefined,
    };
  }

  get maps(): LoadedMaps {
    return this.#programs.maps;
  }
  get #mirror(): Mirror {
    return this.#programs.mirror;
  }

  /**
   * Carries everything over to other maps, as another version of the programs does when theirs have another shape.
   * @param before what happens between the copy and the change of programs
   * @param after what happens between the change of programs and the end of the move
   */
  move(before: () => void, after: () => void = () => {}): void {
    const old = this.#programs;
    const next = this.#load([PROGRAMS.adopt]);
    next.mirror.everything();
    const layouts = structs(section(image().bytes, ".BTF")!)!;
    const adopt = () => void call(next.maps.program(PROGRAMS.adopt));
    const migration = new Migration(old.maps, next.maps, layouts, this.rules.ends, adopt);
    next.maps.array("trace").bytes.set(old.maps.array("trace").bytes);
    next.maps.array("config").bytes.set(old.maps.array("config").bytes);
    migration.copy();
    before();
    this.#programs = next;
    this.#tell();
    this.#markLocals();
    after();
    migration.catchUp();
    old.maps.close();
  }

  close(): void {
    this.maps.close();
  }

  // --- rules ------------------------------------------------------------------------------------------------------------

  addService(spec: ServiceSpec): void {
    this.model.table.addService(spec);
    this.#apply({ op: "addService", spec, id: this.rules.nextService });
    this.#mirror.serviceAdded(this.rules.table.find(spec.id));
  }
  editService(spec: ServiceSpec): void {
    const was = this.rules.table.find(spec.id).spec.scheduler;
    this.model.table.editService(spec);
    this.#apply({ op: "editService", spec });
    this.#mirror.serviceEdited(this.rules.table.find(spec.id), was);
  }
  removeService(id: ServiceId): void {
    const service = this.rules.table.find(id);
    const number = this.rules.serviceNumber(service);
    const servers = [...service.destinations];
    this.model.table.removeService(id);
    this.#apply({ op: "removeService", service: id });
    this.#mirror.serviceRemoved(number, servers);
    call(this.#programs.sweep);
  }
  addDestination(service: ServiceId, spec: DestinationSpec): void {
    this.model.table.addDestination(service, spec);
    const heritage = this.rules.heritage(service, spec);
    this.#apply({ op: "addDestination", service, spec, id: this.rules.nextDestination });
    const server = this.rules.table.find(service).destinations[0];
    this.#mirror.destinationAdded(server, heritage);
    this.#markLocals();
  }
  editDestination(service: ServiceId, spec: DestinationSpec): void {
    this.model.table.editDestination(service, spec);
    this.#apply({ op: "editDestination", service, spec });
    const server = this.rules.table
      .find(service)
      .destinations.find((d) => d.spec.address === spec.address && d.port === spec.port)!;
    this.#mirror.destinationEdited(server);
    this.#markLocals();
  }
  removeDestination(service: ServiceId, which: DestinationId): void {
    const { destinations } = this.rules.table.find(service);
    const index = destinations.findIndex((d) => d.spec.address === which.address && d.port === which.port);
    const server = destinations[index];
    this.model.table.removeDestination(service, which);
    this.#apply({ op: "removeDestination", service, destination: which });
    this.#mirror.destinationRemoved(server, index);
    this.#markLocals();
    call(this.#programs.sweep);
  }
  settings(change: Partial<Settings>): void {
    this.model.change(change);
    this.#apply({ op: "settings", change });
    this.#mirror.config();
    call(this.#programs.sweep);
  }
  timeouts(timeouts: Timeouts): void {
    this.model.tracker.setTimeouts(timeouts);
    this.#apply({ op: "timeouts", timeouts });
    this.#mirror.config();
  }
  /** Pages of memory that are available. */
  memory(pages: number): void {
    this.host.pages = pages;
    this.maps.array("config").view.setUint32(CONFIG.at.test_pages, pages, true);
  }
  /** drop_entry asks about every connection each second. */
  thorough(): void {
    const { view } = this.maps.array("config");
    view.setUint32(CONFIG.at.test, view.getUint32(CONFIG.at.test, true) | TEST.thorough, true);
    this.#chance.lowest = true;
  }
  mtu(bytes: number): void {
    this.host.mtu = bytes;
    this.host.routeEpoch++;
    this.#setMtu();
  }

  #apply(change: Operation): void {
    this.rules.apply(change);
  }
  #setMtu(): void {
    this.maps.array("trace").view.setUint32(TRACE.at.mtu, this.host.mtu, true);
  }
  /** Which destinations are addresses of the director itself. */
  #markLocals(): void {
    const { view } = this.maps.array("dests");
    for (const [server, id] of this.rules.destinations()) {
      const at = id * DEST.size + DEST.at.flags;
      const local = this.host.route(server.family, server.words, 0)!.local;
      const flags = view.getUint32(at, true) & ~DEST_FLAG.local;
      view.setUint32(at, flags | (local ? DEST_FLAG.local : 0), true);
    }
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  /** Lets time pass; both end what is due. */
  wait(ms: number, atOnce = false): void {
    if (atOnce) this.now += ms - TICK_MS;
    // Tick by tick, so that both end things in the same order.
    if (atOnce) ms = TICK_MS;
    for (const end = this.now + ms; this.now < end; ) {
      this.now += TICK_MS;
      this.#separate();
      this.model.advance(this.now);
      this.#tell();
      call(this.#programs.sweep);
      this.#freeTrash();
    }
  }
  /** Lets much time pass, from one end of a connection to the next. */
  rest(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      let next = end;
      const { connections } = this.model;
      connections.forEach((c) => {
        next = Math.min(next, connections.dueAt(c));
      });
      const ticks = Math.max(1, Math.ceil((next - this.now) / TICK_MS));
      this.wait(ticks * TICK_MS, true);
    }
  }
  /** Destinations that the model has let go lose their numbers. */
  #freeTrash(): void {
    const kept = this.model.table.trashed();
    const trash = this.rules.table.trashed();
    if (trash.length === kept.length) return;
    for (const server of trash) {
      if (kept.some((d) => d.service.key === server.service.key && sameServer(d, server))) continue;
      const id = this.rules.destinationNumber(server);
      this.#apply({ op: "free", id });
      this.#mirror.destinationFreed(id);
    }
  }
  /**
   * Which of two timers of one instant fires first is open, and matters to a template and the last of its connections: such a
   * template gets a tick more, on both sides.
   */
  #separate(): void {
    const { connections } = this.model;
    connections.forEach((c) => {
      if (connections.children(c) === 0 || connections.dueAt(c) !== this.now) return;
      connections.restart(c, this.now + TICK_MS - connections.timeoutMs(c));
      this.#delay(c);
    });
  }

  /** Gives the programs' twin of a template a tick more. */
  #delay(c: number): void {
    const { connections } = this.model;
    const { bytes, view } = this.maps.array("slab");
    const fresh = this.maps.array("state").view.getUint32(STATE.at.fresh, true);
    for (let slot = 1; slot < fresh; slot++) {
      const at = slot * CONN.size;
      if (view.getUint8(at + CONN.at.ctl) !== PHASE.live) continue;
      if (view.getUint32(at + CONN.at.children, true) === 0) continue;
      if (view.getUint8(at + CONN.at.protocol) !== connections.protocol(c)) continue;
      if (view.getUint16(at + CONN.at.virtual_port) !== connections.virtualPort(c)) continue;
      const due = view.getBigUint64(at + CONN.at.expires, true);
      if (due !== BigInt(this.now) * 1_000_000n) continue;
      const family = view.getUint8(at + CONN.at.family) === 6 ? 6 : 4;
      const client = new DataView(endBytes(family, bytes, at, "client").buffer);
      const same = [0, 1, 2, 3].every((i) => client.getInt32(4 * i) === connections.clientWord(c, i));
      if (same) view.setBigUint64(at + CONN.at.expires, due + BigInt(TICK_MS) * 1_000_000n, true);
    }
  }

  #tell(): void {
    this.maps.array("config").view.setBigUint64(CONFIG.at.test_now_ns, BigInt(this.now) * 1_000_000n, true);
  }

  // --- other directors ----------------------------------------------------------------------------------------------------

  /** A master's message comes. */
  hear(message: Uint8Array): void {
    this.#received ??= {
      model: this.model.backup(0),
      programs: new MapReceiver(
        () => this.#writer(),
        0,
        () => {},
      ),
    };
    this.#received.model.receive(message, this.now);
    this.#received.programs.receive(message);
  }
  /** Destinations may have come of connections that waited for them. */
  bindStrays(): void {
    bindStrays(this.maps, this.#writer());
  }
  #received: { model: SyncReceiver; programs: MapReceiver } | undefined;
  readonly #writer = (): EntryWriter =>
    new EntryWriter({ maps: this.maps, program: this.maps.program(PROGRAMS.synced), rules: this.rules });

  // --- packets ----------------------------------------------------------------------------------------------------------

  /** Shows a packet to both a tick later; the difference between the two, or undefined. */
  show(ip: Uint8Array, way: Way, mark = 0): string | undefined {
    this.wait(TICK_MS);
    this.shown++;
    this.#word = (this.#word * 7 + 11) >>> 0;
    this.#chance.word = this.#word;
    const model = this.#showModel(ip, way, mark);
    this.maps.array("state").view.setUint32(STATE.at.chance, this.#word, true);
    const programs = this.#showPrograms(ip, mark, model.verdict.startsWith("local"));
    const sentAnyway = programs.verdict === SENT_BY_XDP && model.verdict.startsWith("send ");
    // ip_vs drops what is too short for its ports before it looks for a service; the programs leave it to the stack, which drops it.
    if (model.verdict === "drop" && programs.verdict === "accept" && isTruncated(ip)) return undefined;
    if (model.verdict !== programs.verdict && !sentAnyway)
      return `model: ${tell(model)}, programs: ${tell(programs)}`;
    if (model.bytes && programs.bytes && Buffer.compare(model.bytes, programs.bytes) !== 0)
      return `bytes\n  model    ${tell(model)}\n  programs ${tell(programs)}\n  ${hex(model)}\n  ${hex(programs)}`;
    return undefined;
  }

  /** Shows the model a packet, and the programs its fragments in order: together they must become the same packet. */
  showFragments(whole: Uint8Array, parts: readonly Uint8Array[], way: Way): string | undefined {
    this.wait(TICK_MS);
    const model = this.#showModel(whole, way, 0);
    const fates = parts.map((part) => this.#showPrograms(part, 0, model.verdict.startsWith("local")));
    const verdicts = [...new Set(fates.map(({ verdict }) => verdict))].join(", then ");
    if (verdicts !== model.verdict) return `model: ${tell(model)}, programs: ${verdicts}`;
    if (!model.bytes) return undefined;
    const joined = join(fates.map(({ bytes }) => bytes!));
    return Buffer.compare(joined, model.bytes) === 0
      ? undefined
      : `bytes\n  model    ${describePacket(model.bytes)}\n  programs ${describePacket(joined)}`;
  }

  #showModel(ip: Uint8Array, way: Way, mark: number): Fate {
    const p = this.#packet.load(ip, mark);
    const verdict = way === "through" ? this.model.forward(p, this.now) : this.model.localIn(p, this.now);
    const sent = this.host.sent.splice(0);
    if (verdict === "accept")
      return p.modified ? { verdict: "local", bytes: p.copy() } : { verdict: "accept", bytes: undefined };
    if (sent.length === 0) return { verdict: "drop", bytes: undefined };
    return { verdict: `send ${sent[0].via}`, bytes: sent[0].bytes };
  }

  /** Shows a packet to the programs alone; `VERDICT`. */
  showPrograms(ip: Uint8Array): number {
    this.#showPrograms(ip, 0, false);
    return this.maps.array("trace").view.getUint32(TRACE.at.verdict, true) || VERDICT.accept;
  }

  #showPrograms(ip: Uint8Array, mark: number, stackForwards: boolean): Fate {
    const { run } = this.#programs;
    const { input } = run;
    const v6 = ip[0] >> 4 === 6;
    input.fill(0, 0, ETHERNET);
    input[12] = v6 ? 0x86 : 0x08;
    input[13] = v6 ? 0xdd : 0;
    input.set(ip, ETHERNET);
    const trace = this.maps.array("trace");
    trace.view.setUint32(TRACE.at.verdict, VERDICT.none, true);
    const target = toWords(formatAddress(v6 ? 6 : 4, ip, v6 ? 24 : 16));
    trace.view.setUint32(TRACE.at.own, this.host.addressKind(v6 ? 6 : 4, target) === "local" ? 1 : 0, true);
    if (this.#programs.front && mark === 0) {
      const fate = this.#showXdp(this.#programs.front, input, ETHERNET + ip.length);
      if (fate?.bytes && stackForwards) return { verdict: "local", bytes: addHop(fate.bytes) };
      if (fate) return fate;
    }
    run.run(ETHERNET + ip.length, { mark });
    const bytes = packetOf(run.output.subarray(ETHERNET, run.outputLength));
    const verdict = trace.view.getUint32(TRACE.at.verdict, true);
    switch (verdict) {
      case VERDICT.none:
      case VERDICT.accept:
        return { verdict: "accept", bytes: undefined };
      case VERDICT.local:
        return { verdict: "local", bytes };
      case VERDICT.drop:
        this.reason = trace.view.getUint32(TRACE.at.reason, true);
        return { verdict: "drop", bytes: undefined };
    }
    const family = trace.view.getUint32(TRACE.at.hop_family, true) === 6 ? 6 : 4;
    const hop = formatAddress(family, trace.bytes, TRACE.at.hop);
    // Replies are forwarded by the stack, in the model: it takes a hop off them.
    if (stackForwards) return { verdict: "local", bytes: addHop(bytes) };
    return { verdict: `send ${hop}`, bytes };
  }

  /** The fate of a packet that XDP finishes; undefined when it passes it on. */
  #showXdp(front: TestRun, frame: Uint8Array, length: number): Fate | undefined {
    for (const [server, id] of this.rules.destinations())
      if (!this.host.route(server.family, server.words, 0)!.local) this.#knowHop(id);
    front.input.set(frame.subarray(0, length));
    const action = front.run(length);
    if (action === XDP.pass) {
      const untouched = Buffer.compare(front.output.subarray(0, length), frame.subarray(0, length)) === 0;
      return untouched ? undefined : { verdict: "changed, then passed on", bytes: undefined };
    }
    this.fronted++;
    if (action === XDP.drop) return { verdict: "drop", bytes: undefined };
    return { verdict: SENT_BY_XDP, bytes: packetOf(front.output.subarray(ETHERNET, front.outputLength)) };
  }

  /** TC found the way to this destination a moment ago. */
  #knowHop(id: number): void {
    const stats = this.maps.map("dest_stats");
    const value = stats.lookupIndex(id)!.slice();
    const v = new DataView(value.buffer);
    for (let at = 0; at < value.length; at += DEST_STATS.size) {
      v.setBigUint64(at + DEST_STATS.at.hop_until, BigInt(this.now + 1000) * 1_000_000n, true);
      v.setUint32(at + DEST_STATS.at.hop_ifindex, LO, true);
      v.setUint32(at + DEST_STATS.at.hop_kind, HOP.neighbour, true);
      v.setUint32(at + DEST_STATS.at.hop_mtu, this.host.mtu, true);
    }
    stats.updateIndex(id, value);
  }

  // --- tables -----------------------------------------------------------------------------------------------------------

  /** Differences between what both keep: counts of destinations, connections, counters. */
  compareTables(): string[] {
    return [...this.#compareDestinations(), ...this.#compareConnections(), ...this.#compareCounters()];
  }

  #compareDestinations(): string[] {
    const differences: string[] = [];
    const loads = this.maps.array("loads").view;
    const dests = this.maps.array("dests").view;
    for (const [server, id] of this.rules.destinations()) {
      const twin = this.#twin(server.service.key, server.spec);
      if (!twin) continue;
      const word = (field: keyof typeof LOAD.at) => loads.getUint32(id * LOAD.size + LOAD.at[field], true);
      const persistent = dests.getUint32(id * DEST.size + DEST.at.persistent, true);
      const model = `${twin.active} ${twin.inactive} ${twin.persistent} ${twin.overloaded}`;
      const programs = `${word("active")} ${word("inactive")} ${persistent} ${word("overloaded") !== 0}`;
      const counted = [countersOf(twin.meter), this.#counters("dest_stats", DEST_STATS.size, id)].map((n) =>
        n.join(" "),
      );
      if (counted[0] !== counted[1])
        differences.push(`${this.rules.describe(server)}: model ${counted[0]}, programs ${counted[1]}`);
      if (model !== programs)
        differences.push(`${this.rules.describe(server)}: model ${model}, programs ${programs}`);
    }
    return differences;
  }

  #twin(service: string, which: DestinationId) {
    const same = (d: { spec: DestinationSpec; service: { key: string } }) =>
      d.service.key === service && sameServer(d, { spec: which });
    const live = this.model.table.services().flatMap((s) => s.destinations);
    return live.find(same) ?? this.model.table.trashed().find(same);
  }

  #compareConnections(): string[] {
    const model = this.modelConnections();
    const programs = this.programConnections();
    return [
      ...model.filter((c) => !programs.includes(c)).map((c) => `only in the model: ${c}`),
      ...programs.filter((c) => !model.includes(c)).map((c) => `only in the programs: ${c}`),
    ];
  }

  modelConnections(): string[] {
    const { connections } = this.model;
    const lines: string[] = [];
    const words = (read: (c: number, i: number) => number, c: number) =>
      [0, 1, 2, 3].map((i) => (read.call(connections, c, i) >>> 0).toString(16)).join(":");
    connections.forEach((c) => {
      lines.push(
        [
          connections.protocol(c),
          words(connections.clientWord, c),
          connections.clientPort(c),
          words(connections.virtualWord, c),
          connections.virtualPort(c),
          words(connections.destinationWord, c),
          connections.destinationPort(c),
          `state ${connections.state(c)}`,
          // The programs tell streams that were shifted from the connection itself.
          `flags ${(connections.flags(c) & ~(CONN_FLAG.hashed | FLAG.inSeq | FLAG.outSeq)).toString(16)}`,
          `timeout ${connections.timeoutMs(c)}`,
          `left ${connections.dueAt(c) - this.now}`,
          `in ${connections.inPackets(c)}`,
          `children ${connections.children(c)}`,
          connections.rareData(c)?.engine?.data ?? "",
        ].join(" "),
      );
    });
    return lines.sort();
  }

  programConnections(): string[] {
    const { bytes, view } = this.maps.array("slab");
    const lines: string[] = [];
    const fresh = this.maps.array("state").view.getUint32(STATE.at.fresh, true);
    for (let slot = 1; slot < fresh; slot++) {
      const at = slot * CONN.size;
      const ctl = view.getBigUint64(at + CONN.at.ctl, true);
      if (Number(ctl & 0xffn) !== PHASE.live) continue;
      const words = (field: End, host = false) => {
        const of = field === "dest_address" ? "dest_family" : "family";
        const whole = endBytes(view.getUint8(at + CONN.at[of]) === 6 ? 6 : 4, bytes, at, field);
        const words = new DataView(whole.buffer);
        return [0, 4, 8, 12].map((i) => words.getUint32(i, host).toString(16)).join(":");
      };
      const port = (field: "client_port" | "virtual_port" | "dest_port") =>
        view.getUint16(at + CONN.at[field]);
      const word = (field: "timeout_ms" | "in_packets" | "children") =>
        view.getUint32(at + CONN.at[field], true);
      const protocol = view.getUint8(at + CONN.at.protocol);
      const expires = Number(view.getBigUint64(at + CONN.at.expires, true) / 1_000_000n);
      const flags = Number((ctl >> 16n) & 0xffffn) & ~(CONN_FLAG.hashed | CONN_FLAG.watched);
      lines.push(
        [
          protocol,
          words("client"),
          port("client_port"),
          words("virtual", protocol === 0),
          port("virtual_port"),
          words("dest_address"),
          port("dest_port"),
          `state ${Number((ctl >> 8n) & 0xffn)}`,
          `flags ${flags.toString(16)}`,
          `timeout ${word("timeout_ms")}`,
          `left ${expires - this.now}`,
          `in ${word("in_packets")}`,
          `children ${word("children")}`,
          view.getUint8(at + CONN.at.marks) & CONN_MARK.call ? this.#callOf(slot) : "",
        ].join(" "),
      );
    }
    return lines.sort();
  }

  /** Call-ID of the template in a slot. */
  #callOf(slot: number): string {
    const call = this.maps.map("call_ids").lookupIndex(slot);
    if (!call) return "lost";
    const length = new DataView(call.buffer, call.byteOffset).getUint32(CALL.at.length, true);
    return Buffer.from(call.subarray(CALL.at.id, CALL.at.id + length)).toString("latin1");
  }

  /** Elements of a hash. */
  elements(map: "calls" | "call_ids" | "sip_services"): number {
    return this.maps.map(map).keys().length;
  }

  #compareCounters(): string[] {
    const differences: string[] = [];
    for (const service of this.rules.table.services()) {
      const model = countersOf(this.model.table.find(service.id).meter).join(" ");
      const programs = this.#counters("service_stats", STATS.size, this.rules.serviceNumber(service)).join(
        " ",
      );
      if (model !== programs) differences.push(`${service.key}: model ${model}, programs ${programs}`);
    }
    const model = countersOf(this.model.table.total).join(" ");
    const programs = this.#counters("service_stats", STATS.size, 0).join(" ");
    if (model !== programs) differences.push(`total: model ${model}, programs ${programs}`);
    return differences;
  }

  #counters(map: "service_stats" | "dest_stats", size: number, id: number): number[] {
    const value = this.maps.map(map).lookupIndex(id)!;
    const v = new DataView(value.buffer, value.byteOffset);
    const estimates = this.maps.array(map === "dest_stats" ? "dest_estimates" : "service_estimates").view;
    return [0, 1, 2, 3, 4].map((i) => {
      let sum = 0n;
      for (let cpu = 0; cpu < value.length; cpu += Math.ceil(size / 8) * 8)
        sum += v.getBigUint64(cpu + 8 * i, true);
      // What a version before this one counted.
      const base = estimates.getBigInt64(id * ESTIMATE.size + ESTIMATE.at.base + 8 * i, true);
      return Number(sum - base);
    });
  }

  /** Where rr or wrr stands. */
  position(service: ServiceId): number {
    const id = this.rules.serviceNumber(this.rules.table.find(service));
    return this.maps
      .array("service_state")
      .view.getInt32(id * SERVICE_STATE.size + SERVICE_STATE.at.position, true);
  }
}

const sameServer = (a: { spec: DestinationId }, b: { spec: DestinationId }): boolean =>
  a.spec.address === b.spec.address && a.spec.port === b.spec.port;

const countersOf = (meter: Meter): number[] => [
  meter.conns,
  meter.inPackets,
  meter.outPackets,
  meter.inBytes,
  meter.outBytes,
];

function wordBytes(n: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n, true);
  return bytes;
}

const hex = (fate: Fate): string => Buffer.from(fate.bytes ?? []).toString("hex");
const tell = (fate: Fate): string =>
  fate.bytes ? `${fate.verdict} < ${describePacket(fate.bytes)}` : fate.verdict;

/** A packet that ends before the headers of its transport protocol do. */
function isTruncated(ip: Uint8Array): boolean {
  const flow = new Flow();
  const v = new DataView(ip.buffer, ip.byteOffset, ip.length);
  if (!flow.read(v, 0, ip.length)) return false;
  return flow.truncated || (flow.protocol === PROTO.sctp && sctpFirstChunk(v, flow.l4, flow.end) < 0);
}

/** The IP packet of a frame, without what link layers pad. */
function packetOf(frame: Uint8Array): Uint8Array {
  const v = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return frame.slice(0, frame[0] >> 4 === 6 ? 40 + ipv6.payloadLength(v, 0) : ipv4.totalLength(v, 0));
}

/** Fragments, in order, as one packet. */
function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const v6 = parts[0][0] >> 4 === 6;
  const header = v6 ? ipv6.HEADER_LEN : ipv4.HEADER_LEN;
  const skipped = v6 ? ipv6.FRAGMENT_LEN : 0;
  const whole = Buffer.concat([
    parts[0].subarray(0, header),
    ...parts.map((p) => p.subarray(header + skipped)),
  ]);
  const bytes = new Uint8Array(whole);
  const v = new DataView(bytes.buffer);
  if (v6) {
    bytes[ipv6.AT.nextHeader] = parts[0][header];
    v.setUint16(ipv6.AT.length, bytes.length - header);
    return bytes;
  }
  v.setUint16(ipv4.AT.length, bytes.length);
  v.setUint16(ipv4.AT.fragment, 0);
  ipv4.setChecksum(v, 0);
  return bytes;
}

/** The packet as it was a hop before. */
function addHop(ip: Uint8Array): Uint8Array {
  const bytes = ip.slice();
  if (bytes[0] >> 4 === 6) {
    bytes[7]++;
    return bytes;
  }
  bytes[8]++;
  ipv4.setChecksum(new DataView(bytes.buffer), 0);
  return bytes;
}
