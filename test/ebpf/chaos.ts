/**
 * Rules that change at random under random traffic: persistence of all kinds, thresholds, quiescing, removal and revival, settings,
 * timeouts, pauses.
 * @module
 */
import type { DestinationSpec } from "../../src/core/destination.ts";
import { IPIP } from "../../src/core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import { fullMask } from "../../src/core/service.ts";
import type { Settings } from "../../src/core/settings.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { seeded } from "../../src/testkit/random.ts";
import { Traffic, type World } from "./traffic.ts";
import { Twins } from "./twins.ts";

const WORLDS: Readonly<Record<4 | 6, World>> = {
  4: {
    family: 4,
    vip: "10.9.0.1",
    clients: ["10.1.0.2", "10.1.0.3", "10.1.7.4", "192.0.2.77"],
    servers: ["10.2.0.11", "10.2.0.12", "10.2.0.13", "10.1.0.1"],
    clientPorts: [40001, 40002, 40003, 500],
    servicePorts: [80, 443, 53, 21, 20, 2000],
    serverPorts: [80, 8080, 53, 443],
    elsewhere: ["203.0.113.9", "10.9.0.2"],
  },
  6: {
    family: 6,
    vip: "2001:db8:9::1",
    clients: ["2001:db8:1::2", "2001:db8:1::3", "2001:db8:7::4"],
    servers: ["2001:db8:2::11", "2001:db8:2::12", "2001:db8:2::13", "2001:db8:1::1"],
    clientPorts: [40001, 40002, 40003, 500],
    servicePorts: [80, 443, 53, 21, 20, 2000],
    serverPorts: [80, 8080, 53, 443],
    elsewhere: ["2001:db8:99::9", "2001:db8:9::2"],
  },
};
const OWN = ["10.9.0.1", "2001:db8:9::1", "10.1.0.1", "10.2.0.1", "2001:db8:2::1", "2001:db8:1::1"];
const SCHEDULERS = [
  "rr",
  "wrr",
  "lblc",
  "lblcr",
  "lc",
  "wlc",
  "sed",
  "nq",
  "fo",
  "ovf",
  "sh",
  "dh",
  "mh",
  "twos",
  "none",
];
const SETTINGS: readonly Partial<Settings>[] = [
  { expire_quiescent_template: 1 },
  { expire_quiescent_template: 0 },
  { conn_reuse_mode: 0 },
  { conn_reuse_mode: 1 },
  { conn_reuse_mode: 3 },
  { sloppy_tcp: 1 },
  { sloppy_tcp: 0 },
  { sloppy_sctp: 1 },
  { sloppy_sctp: 0 },
  { secure_tcp: 3 },
  { secure_tcp: 0 },
  { drop_packet: 3, am_droprate: 5 },
  { drop_packet: 0 },
  { pmtu_disc: 0 },
  { pmtu_disc: 1 },
  { nat_icmp_send: 1 },
  { nat_icmp_send: 0 },
  { cache_bypass: 1 },
  { cache_bypass: 0 },
  { schedule_icmp: 1 },
  { schedule_icmp: 0 },
];
/** MTUs of the ways to servers and clients. */
const MTUS = [1500, 1500, 1400, 1300, 9000];

/** Rules that change at random; what the model's table refuses is left out. */
class Chaos {
  readonly #twins: Twins;
  readonly #random: () => number;
  readonly #world: World;
  readonly #t: Traffic;
  readonly #ids: ServiceId[];
  readonly #live = new Set<ServiceId>();

  constructor(twins: Twins, world: World, random: () => number, traffic: Traffic) {
    this.#twins = twins;
    this.#world = world;
    this.#random = random;
    this.#t = traffic;
    const address = (protocol: "tcp" | "udp" | "sctp", port: number): ServiceId => ({
      kind: "address",
      family: world.family,
      protocol,
      address: world.vip,
      port,
    });
    this.#ids = [
      ...(["tcp", "udp", "sctp"] as const).flatMap((p) => [address(p, 80), address(p, 443)]),
      address("udp", 53),
      address("udp", 500),
      address("tcp", 21),
      address("tcp", 0),
      address("udp", 0),
      { kind: "fwmark", family: world.family, fwmark: 7 },
    ];
    for (const id of this.#ids) this.#add(id);
  }

  #number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #service(id: ServiceId): ServiceSpec {
    const port = id.kind === "address" ? id.port : 1;
    const persistent = port === 0 || this.#t.chance(2);
    const wide = this.#world.family === 4 ? 0xffffff00 : 48;
    return serviceSpec(id, {
      scheduler: this.#t.pick(SCHEDULERS),
      persistent,
      // Not a timeout of any connection: which of two timers of one instant fires first is open.
      timeoutS: persistent ? this.#t.pick([7, 33, 77, 143, 391]) : 0,
      netmask: this.#t.chance(2) ? wide : fullMask(this.#world.family),
      onePacket: this.#t.chance(5),
      schedFlags: 8 * this.#number(4),
    });
  }

  #destination(address: string): DestinationSpec {
    const method = this.#t.pick(["nat", "nat", "dr", "tun", "fullnat"] as const);
    const upper = this.#t.chance(3) ? 1 + this.#number(6) : 0;
    const type = this.#t.pick(["ipip", "gue", "gre"] as const);
    return destination(address, {
      method,
      port: this.#t.pick([80, 8080, 53, 0]),
      weight: this.#t.chance(5) ? 0 : 1 + this.#number(5),
      upper,
      lower: upper ? this.#number(upper + 1) : 0,
      tunnel:
        method === "tun"
          ? { type, port: type === "gue" ? 6080 : 0, checksum: this.#t.pick(["none", "csum"] as const) }
          : IPIP,
    });
  }

  #add(id: ServiceId): void {
    this.#twins.addService(this.#service(id));
    this.#live.add(id);
    for (const address of this.#world.servers.slice(0, 3)) {
      const spec = this.#destination(address);
      this.#twins.addDestination(id, spec);
    }
  }

  #remove(id: ServiceId): void {
    this.#twins.removeService(id);
    this.#live.delete(id);
  }

  /** The rules, for whoever looks for a difference. */
  describe(): string {
    const services = this.#twins.rules.table.services().map((s) => {
      const { scheduler, persistent, schedFlags } = s.spec;
      const servers = s.destinations.map((d) => `${d.spec.address}:${d.port} ${d.spec.method} ${d.weight}`);
      return `${s.key} ${scheduler} ${schedFlags}${persistent ? " persistent" : ""}: ${servers.join(", ")}`;
    });
    return services.join("\n");
  }

  /** One change of the rules. */
  change(): void {
    const id = this.#t.pick(this.#ids);
    if (!this.#live.has(id)) {
      this.#add(id);
      return;
    }
    const { destinations } = this.#twins.rules.table.find(id);
    const one = destinations.length > 0 ? this.#t.pick(destinations).spec : undefined;
    const changes = [
      () => this.#twins.settings(this.#t.pick(SETTINGS)),
      () => this.#twins.editService(this.#service(id)),
      () => one && this.#twins.removeDestination(id, one),
      () => this.#t.chance(5) && this.#remove(id),
      () => this.#t.chance(3) && this.#twins.mtu(this.#t.pick(MTUS)),
      () => {
        const spec = this.#destination(this.#t.pick(this.#world.servers));
        const there = destinations.some((d) => d.spec.address === spec.address && d.port === spec.port);
        if (!there) this.#twins.addDestination(id, spec);
      },
      () => one && this.#twins.editDestination(id, { ...this.#destination(one.address), port: one.port }),
      () =>
        this.#twins.timeouts({
          tcp: 2 * this.#number(50),
          tcpFin: 2 * this.#number(25),
          udp: 2 * this.#number(30),
        }),
      () => this.#twins.wait(100 * this.#number(this.#t.chance(4) ? 6000 : 300)),
    ];
    this.#t.pick(changes)();
  }
}

/** Model and programs for a seed: half of them with XDP in front. */
export const twinsFor = (seed: number): Twins => new Twins(OWN, seed % 4 > 1);

/** Rules and packets from one seed. @throws Error that tells the difference */
export function play(twins: Twins, family: 4 | 6, seed: number, packets: number): void {
  const random = seeded(seed);
  const traffic = new Traffic(WORLDS[family], random);
  // Set once: the programs' sweeper also ends connections that lost their destination before it was set.
  twins.settings({ expire_nodest_conn: seed % 2 });
  const chaos = new Chaos(twins, WORLDS[family], random, traffic);
  for (let step = 0; step < packets; step++) {
    if (step % 10 === 9) chaos.change();
    const shown = traffic.next();
    const mark = shown.way === "in" && traffic.chance(10) ? 7 : 0;
    const difference = twins.show(shown.ip, shown.way, mark);
    const where = `seed ${seed} step ${step} mark ${mark}: ${shown.note} (${shown.way})`;
    if (difference) throw new Error(`${where}\n${difference}\nreason ${twins.reason}\n${chaos.describe()}`);
    if (step >= 1000 && step % 20 !== 0) continue;
    const tables = twins.compareTables();
    if (tables.length > 0) throw new Error(`${where}\n${tables.join("\n")}\n${chaos.describe()}`);
  }
}

/** The longest pause of a day, ms. */
const LONGEST_PAUSE_MS = 40 * 60_000;
/** Two hours: longer than any timeout that rules here have. */
const END_MS = 2 * 3_600_000;

/**
 * Hours of sparse traffic from one seed: a few packets, sometimes other rules, then a pause in which connections end. In the end
 * nothing may be left. @throws Error that tells the difference
 */
export function playHours(twins: Twins, family: 4 | 6, seed: number, hours: number): void {
  const random = seeded(seed);
  const traffic = new Traffic(WORLDS[family], random);
  twins.settings({ expire_nodest_conn: seed % 2 });
  const chaos = new Chaos(twins, WORLDS[family], random, traffic);
  const compare = (where: string): void => {
    const tables = twins.compareTables();
    if (tables.length > 0)
      throw new Error(`seed ${seed}, ${where}\n${tables.join("\n")}\n${chaos.describe()}`);
  };
  for (const end = twins.now + hours * 3_600_000; twins.now < end; ) {
    const at = `${Math.floor((end - twins.now) / 1000)} s before the end`;
    if (traffic.chance(4)) chaos.change();
    for (let n = Math.floor(random() * 40); n > 0; n--) {
      const shown = traffic.next();
      const difference = twins.show(shown.ip, shown.way);
      if (difference)
        throw new Error(`seed ${seed}, ${at}: ${shown.note}\n${difference}\n${chaos.describe()}`);
    }
    compare(at);
    // Short pauses more often than long ones.
    twins.rest(Math.floor(LONGEST_PAUSE_MS * random() ** 3));
    compare(`${at}, after a pause`);
  }
  twins.rest(END_MS);
  compare("at the end");
  const left = twins.programConnections();
  if (left.length > 0) throw new Error(`seed ${seed}: left at the end:\n${left.join("\n")}`);
}
