/**
 * Runs in the virtual machine, started by `ebpf.test.ts`: the eBPF plane on its oldest kernel. The model beside the programs,
 * golden cases and scenarios with our ipvsadm, all in this process.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { ForwardingMethod } from "../../src/core/destination.ts";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { makeNames, type Names } from "../../src/interfaces/cli/names.ts";
import { shownSettings } from "../../src/planes/ebpf/config.ts";
import { type EbpfPlane, ebpfPlane } from "../../src/planes/ebpf/ebpf.ts";
import { collectGarbage } from "../../src/planes/ebpf/garbage.ts";
import { CONFIG, TEST } from "../../src/planes/ebpf/layout.ts";
import { memoryPlaces } from "../../src/planes/ebpf/memory.ts";
import { ebpfPaths } from "../../src/planes/ebpf/paths.ts";
import { interfaces } from "../../src/sys/bpf/interfaces.ts";
import { filterProgram } from "../../src/sys/bpf/link.ts";
import { newNetns } from "../../src/sys/netns.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { type CommandResult, play } from "../../src/testkit/play.ts";
import { seeded } from "../../src/testkit/random.ts";
import { parseScenarios, type Scenario, usesLocal } from "../../src/testkit/scenario.ts";
import { TunStage } from "../../src/testkit/tun-stage.ts";
import { Traffic, type World } from "../ebpf/traffic.ts";
import { Twins } from "../ebpf/twins.ts";
import { readCase, runHere, transcript } from "../golden/run-case.ts";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** Folder of the golden cases. */
  readonly cases: string;
  /** Golden cases to play. */
  readonly golden: readonly string[];
  /** Files of scenarios. */
  readonly files: readonly string[];
  /** Scenarios to play, as "topic:line". */
  readonly scenarios: readonly string[];
  /** Folder of the built commands. */
  readonly dist: string;
  /** Packets by which each scheduler is held against the model. */
  readonly choices: number;
  /** Random packets by which each forwarding method is held against the model. */
  readonly packets: number;
}

/** What became of one thing; empty problems when all was well. */
export interface Told {
  readonly kind: "kernel" | "scheduler" | "method" | "golden" | "scenario";
  readonly name: string;
  readonly problems: readonly string[];
  readonly ms: number;
}

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;
// Which lies beside the commands, not beside this program.
process.env["LVSD_SYNC"] = `${task.dist}/lvsd-sync.cjs`;

async function tell(
  kind: Told["kind"],
  name: string,
  work: () => string[] | Promise<string[]>,
): Promise<void> {
  const from = Date.now();
  let problems: string[];
  try {
    problems = await work();
  } catch (error) {
    problems = [String((error as Error).stack)];
  }
  const told: Told = { kind, name, problems: problems.slice(0, 5), ms: Date.now() - from };
  console.log(`@@ ${JSON.stringify(told)}`);
}

// --- the model and the programs ---------------------------------------------------------------------------------------

const WORLD: World = {
  family: 4,
  vip: "10.9.0.1",
  clients: ["10.1.0.2", "10.1.0.3", "192.0.2.77"],
  servers: ["10.2.0.11", "10.2.0.12", "10.2.0.13"],
  clientPorts: [40001, 40002, 40003, 20],
  servicePorts: [80, 443, 53],
  serverPorts: [80, 8080, 53],
};
const WORLD6: World = {
  ...WORLD,
  family: 6,
  vip: "2001:db8:9::1",
  clients: ["2001:db8:1::2", "2001:db8:1::3"],
  servers: ["2001:db8:2::11", "2001:db8:2::12", "2001:db8:2::13"],
};
const OWN = ["10.9.0.1", "2001:db8:9::1", "10.1.0.1", "10.2.0.1", "2001:db8:2::1"];
/** twos draws lots, and the two sides draw different ones. */
const SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "dh", "mh", "lblc", "lblcr"];
/** More than the programs look at in one step, and no multiple of it. */
const MANY = 19;

const address = (world: World, protocol: "tcp" | "udp" | "sctp", port: number): ServiceId => ({
  kind: "address",
  family: world.family,
  protocol,
  address: world.vip,
  port,
});

/** Clients that come and go at a service of many servers of all weights. */
function schedules(twins: Twins, scheduler: string, port: number): string[] {
  const id = address(WORLD, "tcp", port);
  const random = seeded(port);
  twins.addService(serviceSpec(id, { scheduler }));
  for (let i = 1; i <= MANY; i++) {
    const weight = Math.floor(random() * 6);
    twins.addDestination(id, destination(`10.3.${port - 80}.${i}`, { method: "dr", weight }));
  }
  const problems: string[] = [];
  for (let i = 0; i < task.choices; i++) {
    const client = `10.1.${Math.floor(random() * 8)}.${1 + Math.floor(random() * 250)}:${1024 + i}`;
    // Some are seen complete, some end: active and inactive connections weigh differently.
    for (const flags of ["S", "A", "FA"].slice(0, 1 + Math.floor(random() * 3))) {
      const note = `tcp ${client} > ${WORLD.vip}:${port} ${flags} seq=1`;
      const difference = twins.show(buildPacket(parseNote(note)), "in");
      if (difference) problems.push(`connection ${i}: ${note}: ${difference}`);
    }
  }
  return [...problems, ...twins.compareTables()];
}

/** Whether the programs' idea of the memory that is left is that of /proc/meminfo: a threshold just above it, and one well below. */
function readsMemory(): string[] {
  if (typeof memoryPlaces() === "string") return [String(memoryPlaces())];
  const twins = new Twins(OWN);
  try {
    const text = readFileSync("/proc/meminfo", "utf8");
    const pages = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)![1]) / 4;
    const left = pages("MemFree") + pages("Buffers");
    const { view } = twins.maps.array("config");
    view.setUint32(CONFIG.at.test, view.getUint32(CONFIG.at.test, true) & ~TEST.memory, true);
    const shown = (amemthresh: number): number => {
      twins.settings({ amemthresh: Math.round(amemthresh), secure_tcp: 1 });
      return shownSettings(twins.rules.settings, twins.maps).secure_tcp;
    };
    const modes = [shown(left * 0.8), shown(left * 1.2), shown(left * 0.8)];
    return modes.join() === "1,2,1" ? [] : [`${left} pages are left, but the modes are ${modes}`];
  } finally {
    twins.close();
  }
}

/** Random packets at services of all protocols. */
function forwards(world: World, method: ForwardingMethod): string[] {
  const twins = new Twins(OWN);
  try {
    for (const protocol of ["tcp", "udp", "sctp"] as const) {
      for (const port of [80, 443]) {
        const id = address(world, protocol, port);
        twins.addService(serviceSpec(id, { scheduler: "wlc" }));
        for (const [k, server] of world.servers.entries())
          twins.addDestination(
            id,
            destination(server, { method, port: port === 80 ? 80 : 8080, weight: k + 1 }),
          );
      }
    }
    const traffic = new Traffic(world, seeded(11));
    const problems: string[] = [];
    for (let i = 0; i < task.packets; i++) {
      const shown = traffic.next();
      const difference = twins.show(shown.ip, shown.way);
      if (difference) problems.push(`packet ${i}: ${shown.note}: ${difference}`);
    }
    return [...problems, ...twins.compareTables()];
  } finally {
    twins.close();
  }
}

// --- the plane ------------------------------------------------------------------------------------------------------------

const must = (command: string, args: readonly string[], input = ""): void => {
  const { status, stderr, error } = spawnSync(command, args, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
};

const names = (): Names =>
  makeNames({
    hosts: () => readFileSync(join(task.cases, "hosts"), "utf8"),
    services: () => readFileSync(join(task.cases, "services"), "utf8"),
    resolver: async () => undefined,
  });

/** Moves this process into a namespace that is the machine of the recording. */
function enterMachine(): void {
  newNetns();
  const lines = [
    "link set lo up",
    "link add eth0 type veth peer name other",
    "link set other up",
    "link set eth0 up multicast on",
    "addr add 198.51.100.1/24 brd + dev eth0",
    "addr add 2001:db8:ee::1/64 dev eth0 nodad",
    "",
  ];
  must("ip", ["-batch", "-"], lines.join("\n"));
}

async function playGolden(name: string): Promise<string[]> {
  enterMachine();
  const plane = ebpfPlane();
  try {
    let got = "";
    for (const step of readCase(readFileSync(join(task.cases, `${name}.sh`), "utf8"))) {
      got += transcript(step, await runHere(step.line, step.stdin, names(), async () => borrowed(plane)));
    }
    const expected = readFileSync(join(task.cases, `${name}.out`), "utf8");
    return got === expected ? [] : [`expected:\n${expected}\ngot:\n${got}`];
  } finally {
    await plane.reset();
    await plane.close();
  }
}

/** The plane for a command, which closes it at its end. */
const borrowed = (plane: EbpfPlane): EbpfPlane =>
  new Proxy(plane, {
    get: (target, key) => {
      if (key === "close") return async () => {};
      const value = Reflect.get(target, key) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

/** A stage whose ipvsadm is in this process. */
class EbpfStage extends TunStage {
  readonly plane: EbpfPlane;

  constructor(local: boolean) {
    super({
      ipvsadm: [],
      setting: (name, value) =>
        must("env", [
          "LVSD_PLANE=ebpf",
          process.execPath,
          `${task.dist}/lvsd.cjs`,
          "settings",
          `${name}=${value}`,
        ]),
      synchronous: true,
      anyZeroId: true,
      local,
    });
    this.plane = ebpfPlane();
  }

  override command(argv: readonly string[]): Promise<CommandResult> {
    return runHere(argv.join(" "), "", names(), async () => borrowed(this.plane));
  }

  async end(): Promise<void> {
    await this.plane.reset();
    await this.plane.close();
    this.close();
  }
}

async function playScenario(scenario: Scenario): Promise<string[]> {
  const stage = new EbpfStage(usesLocal(scenario));
  try {
    return await play(scenario, stage);
  } finally {
    await stage.end();
  }
}

/** A namespace that is left with rules in it, and what an installation in another one, which takes long here, does first. */
async function forgetsTheDead(): Promise<string[]> {
  newNetns();
  const dead = ebpfPaths();
  const before = ebpfPlane();
  await before.addService(serviceSpec(address(WORLD, "tcp", 80)));
  await before.close();
  if (!existsSync(dead.rules)) return ["nothing was written down"];
  newNetns();
  // Namespaces are taken down in the background.
  const until = Date.now() + 30_000;
  while (existsSync(dead.pins) && Date.now() < until) {
    collectGarbage(ebpfPaths());
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return [dead.pins, dead.rules].filter((path) => existsSync(path));
}

/** An interface becomes the port of a bridge, whose hook sees its packets from then on, and stays one when everything is removed. */
async function leavesPortsAlone(): Promise<string[]> {
  enterMachine();
  must("ip", "link add bridge0 up type bridge".split(" "));
  const plane = ebpfPlane();
  const filters = (name: string): string[] => {
    const { index } = interfaces().find((one) => one.name === name)!;
    return (["ingress", "egress"] as const)
      .filter((direction) => filterProgram(index, direction) !== undefined)
      .map((direction) => `${name} ${direction}`);
  };
  try {
    await plane.addService(serviceSpec(address(WORLD, "tcp", 80)));
    const first = filters("eth0");
    must("ip", "link set eth0 master bridge0".split(" "));
    await plane.hook();
    const second = [...filters("eth0"), ...filters("bridge0")];
    await plane.flush();
    const last = [...filters("eth0"), ...filters("bridge0")];
    const found = [first, second, last].map((some) => some.join(", ")).join("; ");
    return found === "eth0 ingress; bridge0 ingress; " ? [] : [`filters: ${found}`];
  } finally {
    await plane.reset();
    await plane.close();
  }
}

/** What comes out of a tunnel of the kernel is balanced, but not with ignore_tunneled=1: then the VIP's own stack refuses it. */
const TUNNELED = `=== what came out of a tunnel
$ ipvsadm -A -t VIP:80 -s rr
$ ipvsadm -a -t VIP:80 -r R1:80 -m
client > ipip CIP > D1 [ tcp CIP:1 > VIP:80 S seq=1 ]
server < tcp CIP:1 > R1:80 S seq=1 ttl=63
sysctl ignore_tunneled=1
client > ipip CIP > D1 [ tcp CIP:2 > VIP:80 S seq=1 ]
client < tcp VIP:80 > CIP:2 RA seq=0 ack=2 win=0 df id=0 ttl=64
client > tcp CIP:3 > VIP:80 S seq=1
server < tcp CIP:3 > R1:80 S seq=1 ttl=63
`;

async function ignoresTunneled(): Promise<string[]> {
  const stage = new EbpfStage(false);
  try {
    must("ip", "link add tunnel type ipip local 10.1.0.1 remote 10.1.0.2".split(" "));
    must("ip", ["link", "set", "tunnel", "up"]);
    must("sysctl", ["-qw", "net.ipv4.conf.tunnel.rp_filter=0"]);
    return await play(parseScenarios("tunnel", TUNNELED)[0]!, stage);
  } finally {
    await stage.end();
  }
}

// --- all of it --------------------------------------------------------------------------------------------------------------

let twins: Twins | undefined;
newNetns();
await tell("kernel", "loads the programs", () => {
  twins = new Twins(OWN);
  return [];
});
for (const [i, scheduler] of SCHEDULERS.entries())
  await tell("scheduler", scheduler, () => (twins ? schedules(twins, scheduler, 80 + i) : ["no programs"]));
twins?.close();

await tell("kernel", "reads how much memory is left", readsMemory);
await tell("kernel", "removes what a deleted namespace left", forgetsTheDead);

await tell("kernel", "takes its filters off an interface that is a port now", leavesPortsAlone);

await tell("kernel", "leaves alone what came out of a tunnel", ignoresTunneled);

if (task.packets > 0) {
  for (const method of ["nat", "dr", "tun"] as const) {
    await tell("method", `IPv4, ${method}`, () => forwards(WORLD, method));
    await tell("method", `IPv6, ${method}`, () => forwards(WORLD6, method));
  }
}
for (const name of task.golden) await tell("golden", name, () => playGolden(name));
for (const scenario of task.files.flatMap((file) =>
  parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")),
)) {
  const name = `${scenario.topic}:${scenario.line}`;
  if (task.scenarios.includes(name)) await tell("scenario", name, () => playScenario(scenario));
}
console.log("@@ done");
