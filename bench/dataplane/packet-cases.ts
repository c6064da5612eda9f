/**
 * The directors and the packets of the packet benchmark: forwarding by the routing table, by nftables, by the eBPF plane (and by
 * the kernel's ip_vs, where there is one).
 * @module
 */
import { join } from "node:path";
import { toWords } from "../../src/wire/address.ts";
import type { Case } from "./rounds.ts";
import type { Director, Traffic, Wires } from "./wires.ts";

const VIP = { nat: "10.9.0.1", dr: "10.9.0.2", tun: "10.9.0.3" } as const;
type Method = keyof typeof VIP;
const FLAG: Record<Method, string> = { nat: "-m", dr: "-g", tun: "-i" };
const METHODS = ["nat", "dr", "tun"] as const;
/** Live flows of an ordinary measurement. */
const FLOWS = 1000;
/** Slots for the connections that all rounds open: those without an answer stay for a minute. */
const ROOM = 1 << 20;
/** Packets that open flows before anything is measured: some more, as the first ones look up the way. */
const EXTRA = 64;
export const FORWARDING = "plain forwarding";

const number = (address: string): number => toWords(address)[0]!;
const serverAddress = (n: number): string => `10.3.${Math.floor(n / 250)}.${(n % 250) + 1}`;

/** How much is measured. */
export interface Extent {
  /** Packets of one measurement. */
  readonly packets: number;
  /** New connections of one measurement. */
  readonly openings: number;
  /** Live connections, services and servers with which growth is shown; the first is what the rest is compared with. */
  readonly connections: readonly number[];
  readonly services: readonly number[];
  readonly servers: readonly number[];
}

/** Rules for `ipvsadm -R` for every method: `vip:80`, TCP and UDP, four servers. */
function methodRules(): string {
  let rules = "";
  for (const method of METHODS) {
    for (const protocol of ["-t", "-u"]) {
      rules += `-A ${protocol} ${VIP[method]}:80 -s rr\n`;
      for (let n = 0; n < 4; n++)
        rules += `-a ${protocol} ${VIP[method]}:80 -r ${serverAddress(n)} ${FLAG[method]}\n`;
    }
  }
  return rules;
}

function restore(
  wires: Wires,
  dist: string,
  director: Director,
  plane: string,
  rules: string,
  connections = ROOM,
): void {
  const vips = Object.values(VIP).map((vip) => `address add ${vip}/32 dev lo`);
  wires.run(director.name, ["ip", "-batch", "-"], `${vips.join("\n")}\n`);
  wires.run(director.name, [process.execPath, join(dist, "ipvsadm.cjs"), "-R"], rules, {
    LVSD_PLANE: plane,
    LVSD_EBPF_CONNECTIONS: String(connections),
  });
}

/** Makes the directors, and the cases in the order in which they take turns. */
export class PacketCases {
  readonly #wires: Wires;
  readonly #extent: Extent;
  readonly #dist: string;

  /** @param dist folder of the built commands, with the BPF object that they load. @default that of this program */
  constructor(wires: Wires, extent: Extent, dist = import.meta.dirname) {
    this.#wires = wires;
    this.#extent = extent;
    this.#dist = dist;
  }

  #case(name: string, traffic: Traffic, more: Omit<Case, "name" | "cost"> = {}): Case {
    const packets = traffic.flows > 0 ? this.#extent.packets : this.#extent.openings;
    if (traffic.flows > 0) this.#wires.send(traffic, traffic.flows + EXTRA);
    return { name, ...more, cost: () => this.#wires.measure(traffic, packets) };
  }

  /** Plain forwarding, and how little time a packet can take here: dropped by XDP where it comes in. */
  baselines(): Case[] {
    const forward = this.#wires.director();
    const floor = this.#wires.director();
    this.#wires.blackHole(floor);
    const to = {
      entry: "in",
      target: number(serverAddress(0)),
      port: 80,
      protocol: "udp",
      flows: FLOWS,
    } as const;
    return [
      this.#case(FORWARDING, { director: forward, ...to }),
      this.#case(
        "dropped by XDP on arrival",
        { director: floor, ...to, swallowed: true },
        { against: FORWARDING },
      ),
    ];
  }

  /** nftables' DNAT with connection tracking, to four servers in turn. */
  nftables(): Case[] {
    const director = this.#wires.director();
    const targets = [0, 1, 2, 3].map((n) => `${n} : ${serverAddress(n)}`).join(", ");
    const rule = (protocol: string): string =>
      `ip daddr ${VIP.nat} ${protocol} dport 80 dnat to numgen inc mod 4 map { ${targets} }`;
    this.#wires.run(
      director.name,
      ["nft", "-f", "-"],
      `table ip lb {\nchain pre {\ntype nat hook prerouting priority dstnat\n${rule("udp")}\n${rule("tcp")}\n}\n}\n`,
    );
    this.#wires.run(director.name, ["ip", "address", "add", `${VIP.nat}/32`, "dev", "lo"]);
    const to = { director, entry: "in", target: number(VIP.nat), port: 80 } as const;
    return [
      this.#case("nftables DNAT", { ...to, protocol: "udp", flows: FLOWS }, { against: FORWARDING }),
      this.#case(
        "new connections, nftables DNAT",
        { ...to, protocol: "tcp", flows: 0 },
        { against: FORWARDING },
      ),
    ];
  }

  /** The kernel's ip_vs. */
  ipVs(): Case[] {
    const director = this.#wires.director();
    restore(this.#wires, this.#dist, director, "kernel", methodRules());
    return METHODS.flatMap((method) => {
      const to = { director, entry: "in", target: number(VIP[method]), port: 80 } as const;
      const name = `ip_vs ${method.toUpperCase()}`;
      return [
        this.#case(name, { ...to, protocol: "udp", flows: FLOWS }, { against: FORWARDING }),
        ...(method === "tun"
          ? []
          : [
              this.#case(
                `new connections, ${name}`,
                { ...to, protocol: "tcp", flows: 0 },
                { against: FORWARDING },
              ),
            ]),
      ];
    });
  }

  /** The eBPF plane by method and hook: cases for known flows, then for new ones. Aims by case name. */
  ebpf(
    aims: Readonly<Record<string, number>>,
    against: (method: Method, opening: boolean) => string,
  ): Case[] {
    const director = this.#wires.director();
    restore(this.#wires, this.#dist, director, "ebpf", methodRules());
    this.#wires.accelerate(director);
    const cases: Case[] = [];
    for (const opening of [false, true]) {
      for (const [hook, entry] of [
        ["TC", "in"],
        ["XDP", "inx"],
      ] as const) {
        for (const method of METHODS) {
          // Tunnels are the TC program's.
          if (method === "tun" && (hook === "XDP" || opening)) continue;
          const name = `${opening ? "new connections, " : ""}${hook} ${method.toUpperCase()}`;
          const aim = aims[name];
          const flows = opening ? 0 : FLOWS;
          const protocol = opening ? "tcp" : "udp";
          const to = { director, entry, target: number(VIP[method]), port: 80, protocol, flows } as const;
          cases.push(
            this.#case(name, to, { against: against(method, opening), ...(aim !== undefined && { aim }) }),
          );
        }
      }
    }
    return cases;
  }

  /** Live connections, NAT by TC and XDP. */
  connections(aim: number): Case[] {
    const counts = this.#extent.connections;
    return counts.flatMap((count, i) => {
      const director = this.#wires.director();
      const rules = `-A -u ${VIP.nat}:80 -s rr\n-a -u ${VIP.nat}:80 -r ${serverAddress(0)} -m\n`;
      restore(this.#wires, this.#dist, director, "ebpf", rules, Math.max(262144, Math.ceil(count * 2.1)));
      this.#wires.accelerate(director);
      const label = (hook: string, n: number): string =>
        `${hook} NAT, ${n.toLocaleString("en-US")} connections`;
      return (["in", "inx"] as const).map((entry) => {
        const hook = entry === "in" ? "TC" : "XDP";
        const to = {
          director,
          entry,
          target: number(VIP.nat),
          port: 80,
          protocol: "udp",
          flows: count,
        } as const;
        const compared = {
          against: label(hook, counts[0]!),
          as: "cost",
          ...(count === 100_000 && { aim }),
        } as const;
        return this.#case(label(hook, count), to, i === 0 ? {} : compared);
      });
    });
  }

  /** New connections with many services: all on one director each. */
  services(): Case[] {
    const counts = this.#extent.services;
    return counts.map((count, i) => {
      const director = this.#wires.director();
      let rules = "";
      for (let s = 0; s < count; s++) {
        rules += `-A -t ${VIP.nat}:${80 + s} -s rr\n-a -t ${VIP.nat}:${80 + s} -r ${serverAddress(s)}:80 -m\n`;
      }
      restore(this.#wires, this.#dist, director, "ebpf", rules);
      const label = (n: number): string => `new connections, ${n.toLocaleString("en-US")} services`;
      const to = {
        director,
        entry: "in",
        target: number(VIP.nat),
        port: 80 + count - 1,
        protocol: "tcp",
        flows: 0,
      } as const;
      return this.#case(label(count), to, i === 0 ? {} : { against: label(counts[0]!), as: "cost" });
    });
  }

  /** New connections under wlc with many servers, beside rr. */
  servers(aims: Readonly<Record<number, number>>): Case[] {
    const director = this.#wires.director();
    const counts = this.#extent.servers;
    const services = [{ scheduler: "rr", count: 4 }, ...counts.map((count) => ({ scheduler: "wlc", count }))];
    let rules = "";
    for (const [i, { scheduler, count }] of services.entries()) {
      rules += `-A -t ${VIP.nat}:${80 + i} -s ${scheduler}\n`;
      for (let n = 0; n < count; n++)
        rules += `-a -t ${VIP.nat}:${80 + i} -r ${serverAddress(n)}:80 -m -w 1\n`;
    }
    restore(this.#wires, this.#dist, director, "ebpf", rules);
    const label = ({ scheduler, count }: (typeof services)[number]): string =>
      `new connections, ${scheduler} with ${count.toLocaleString("en-US")} servers`;
    return services.map((service, i) => {
      const aim = service.scheduler === "wlc" ? aims[service.count] : undefined;
      const to = {
        director,
        entry: "in",
        target: number(VIP.nat),
        port: 80 + i,
        protocol: "tcp",
        flows: 0,
      } as const;
      const compared = { against: label(services[0]!), ...(aim !== undefined && { aim }) };
      return this.#case(label(service), to, i === 0 ? {} : compared);
    });
  }
}
