/**
 * Directors to send packets through: each a network namespace with cables to a common one, in which the generator puts frames on
 * the cables and the sink drops and counts what comes back.
 *
 *     generator ─ c0 ══ in  ┐                     ┌ out ══ s0 ─ sink        in, inx 10.1.0.1/16, clients 10.64.0.0/10 behind
 *               ─ x0 ══ inx ┴ director (a namespace) ┘                         out 10.2.0.1/16, real servers 10.3.0.0/16 behind
 *
 * On `inx` an XDP program may be attached; `in` has TC programs only.
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROGRAMS } from "../../src/planes/ebpf/layout.ts";
import { pathsOf } from "../../src/planes/ebpf/paths.ts";
import { withProgram } from "../../src/planes/ebpf/programs.ts";
import { Attr, CMD, memory } from "../../src/sys/bpf/call.ts";
import { interfaces } from "../../src/sys/bpf/interfaces.ts";
import { attachXdp } from "../../src/sys/bpf/link.ts";
import { BpfMap } from "../../src/sys/bpf/map.ts";
import { BpfObject } from "../../src/sys/bpf/object.ts";
import { close } from "../../src/sys/libc.ts";
import { inNetns, namedNetns, netnsCookie } from "../../src/sys/netns.ts";
import { LITTLE_ENDIAN } from "../../src/wire/netlink.ts";
import { packetTime } from "./cpu.ts";

/** `BPF_F_TEST_XDP_LIVE_FRAMES` (`include/uapi/linux/bpf.h`). */
const LIVE_FRAMES = 2;
const FRAME = 60;
/** Frames of one call: then what could not be dealt with at once gets its turn. */
const CHUNK = 8192;
/** `struct shape` of packets.bpf.c. */
const SHAPE = {
  outlet: 0,
  flows: 4,
  next: 8,
  clients: 12,
  target: 16,
  port: 20,
  protocol: 24,
  mac: 28,
  length: 36,
} as const;
const CLIENTS = 0x0a400000; // 10.64.0.0
/** Frames that may get lost without making a measurement useless. */
const TOLERANCE = 0.01;

/** Packets to send. */
export interface Traffic {
  readonly director: Director;
  /** Where they come in. */
  readonly entry: "in" | "inx";
  /** Address they go to, as a number. */
  readonly target: number;
  readonly port: number;
  readonly protocol: "udp" | "tcp";
  /** How many flows take turns; 0: every packet begins one. TCP packets are SYNs. */
  readonly flows: number;
  /** They get no further than the director's own interface ({@link Wires.blackHole}). */
  readonly swallowed?: boolean;
}

/** What a run of packets cost. */
export interface Cost {
  readonly sent: number;
  readonly arrived: number;
  /** Nanoseconds of processor time for each that arrived. */
  readonly ns: number;
}

/** A namespace that forwards. */
export interface Director {
  readonly name: string;
  readonly index: number;
  readonly in: number;
  readonly inx: number;
  /** Of the far end of `out`, where the sink counts. */
  readonly out: number;
}

const ip = (batch: readonly string[], ...words: string[]): void => {
  execFileSync("ip", [...words, "-batch", "-"], {
    input: `${batch.join("\n")}\n`,
    stdio: ["pipe", "pipe", "inherit"],
  });
};

/** All directors, the generator and the sink. */
export class Wires {
  /** For the files of the eBPF plane. */
  readonly runDirectory = mkdtempSync(join(tmpdir(), "lvsd-bench-"));
  readonly #prefix: string;
  readonly #object: BpfObject;
  readonly #shape: BpfMap;
  readonly #outlets: BpfMap;
  readonly #counted: BpfMap;
  readonly #links: number[] = [];
  readonly #directors: Director[] = [];
  readonly #next = new Map<string, number>();
  readonly #attr: Attr;
  readonly #frame = memory(FRAME);

  /** @param object what packets.bpf.c was compiled to */
  constructor(object: Uint8Array) {
    this.#prefix = `lv${process.pid}b`;
    execFileSync("ip", ["netns", "add", this.#wires]);
    this.#object = BpfObject.load(object, "packets");
    this.#shape = new BpfMap(this.#object.map("shape"));
    this.#outlets = new BpfMap(this.#object.map("outlets"));
    this.#counted = new BpfMap(this.#object.map("counted"));
    this.#attr = new Attr(80)
      .u32(0, this.#object.program("generate"))
      .u32(8, FRAME)
      .u64(16, this.#frame)
      .u32(64, LIVE_FRAMES);
  }

  get #wires(): string {
    return `${this.#prefix}wires`;
  }

  /** Makes a director that forwards what the routing table says. */
  director(): Director {
    const index = this.#directors.length;
    const name = `${this.#prefix}${index}`;
    execFileSync("ip", ["netns", "add", name]);
    const [c, x, s] = [`c${index}`, `x${index}`, `s${index}`];
    ip(
      [
        `link add ${c} address 02:00:00:00:01:01 type veth peer name in address 02:00:00:00:00:01 netns ${name}`,
        `link add ${x} address 02:00:00:00:02:01 type veth peer name inx address 02:00:00:00:00:02 netns ${name}`,
        `link add ${s} address 02:00:00:00:03:01 type veth peer name out address 02:00:00:00:00:03 netns ${name}`,
        ...[c, x, s].map((device) => `link set ${device} up`),
      ],
      "-n",
      this.#wires,
    );
    const sysctls = [
      "net.ipv4.ip_forward=1",
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.default.rp_filter=0",
    ];
    for (const device of ["in", "inx", "out"]) sysctls.push(`net.ipv4.conf.${device}.rp_filter=0`);
    this.run(name, ["sysctl", "-qw", ...sysctls]);
    ip(
      [
        "link set lo up",
        "link set in up",
        "link set inx up",
        "link set out up",
        "address add 10.1.0.1/24 dev in",
        "address add 10.1.1.1/24 dev inx",
        "address add 10.2.0.1/16 dev out",
        "neigh replace 10.1.0.2 lladdr 02:00:00:00:01:01 dev in nud permanent",
        "neigh replace 10.2.0.2 lladdr 02:00:00:00:03:01 dev out nud permanent",
        "route add 10.64.0.0/10 via 10.1.0.2",
        "route add 10.3.0.0/16 via 10.2.0.2",
      ],
      "-n",
      name,
    );
    // Without an XDP program a veth receives XDP frames only when it aggregates.
    for (const device of ["in", "inx"]) this.run(name, ["ethtool", "-K", device, "gro", "on"]);
    const find = (all: ReturnType<typeof interfaces>, wanted: string): number => {
      const found = all.find((one) => one.name === wanted);
      if (!found) throw new Error(`there is no interface ${wanted}`);
      return found.index;
    };
    inNetns(namedNetns(this.#wires), () => {
      const all = interfaces();
      this.#links.push(attachXdp(this.#object.program("sink"), find(all, s)));
      for (const [i, device] of [c, x].entries()) {
        const value = memory(4);
        new DataView(value.buffer).setUint32(0, find(all, device), LITTLE_ENDIAN);
        this.#outlets.updateIndex(2 * index + i, value);
      }
    });
    const sinkIndex = inNetns(namedNetns(this.#wires), () => find(interfaces(), s));
    const made = inNetns(namedNetns(name), () => {
      const all = interfaces();
      return { name, index, in: find(all, "in"), inx: find(all, "inx"), out: sinkIndex };
    });
    this.#directors.push(made);
    return made;
  }

  /** Runs a command in a namespace, with the mounts of this process: its standard output. */
  run(name: string, command: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): string {
    return execFileSync("nsenter", [`--net=${namedNetns(name)}`, ...command], {
      input,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "", LVSD_RUN_DIR: this.runDirectory, ...env },
    });
  }

  /** Drops what comes in at `in`, as early as can be. */
  blackHole(director: Director): void {
    this.#links.push(
      inNetns(namedNetns(director.name), () => attachXdp(this.#object.program("sink"), director.in)),
    );
  }

  /** Puts the eBPF plane's XDP program in front of its TC programs, on `inx`. */
  accelerate(director: Director): void {
    inNetns(namedNetns(director.name), () => {
      const { pins } = pathsOf(String(netnsCookie()), this.runDirectory);
      const outlets = BpfMap.open(`${pins}/maps/outlets`);
      if (!outlets) throw new Error(`the eBPF plane is not in ${director.name}`);
      for (const one of interfaces()) {
        if (one.kind !== "veth") continue;
        const value = memory(4);
        new DataView(value.buffer).setUint32(0, one.index, LITTLE_ENDIAN);
        outlets.updateIndex(one.index, value);
      }
      outlets.close();
      this.#links.push(withProgram(pins, PROGRAMS.xdp, (program) => attachXdp(program, director.inx)));
    });
  }

  #arrived(traffic: Traffic): number {
    const { director } = traffic;
    const at = traffic.swallowed ? director.in : director.out;
    const value = this.#counted.lookupIndex(at)!;
    return Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, LITTLE_ENDIAN));
  }

  #write(traffic: Traffic): void {
    const { director, entry, target, port, protocol, flows } = traffic;
    const key = `${director.index} ${entry} ${target} ${port} ${protocol}`;
    const value = memory(SHAPE.length);
    const v = new DataView(value.buffer);
    const set = (at: number, n: number): void => v.setUint32(at, n >>> 0, LITTLE_ENDIAN);
    set(SHAPE.outlet, 2 * director.index + (entry === "in" ? 0 : 1));
    set(SHAPE.flows, flows > 0 ? flows : 0xffffffff);
    set(SHAPE.next, this.#next.get(key) ?? 0);
    set(SHAPE.clients, CLIENTS + (entry === "inx" ? 1 << 16 : 0));
    set(SHAPE.target, target);
    set(SHAPE.port, port);
    set(SHAPE.protocol, protocol === "tcp" ? 6 : 17);
    value.set([2, 0, 0, 0, 0, entry === "in" ? 1 : 2], SHAPE.mac);
    this.#shape.updateIndex(0, value);
  }

  #noteNext({ director, entry, target, port, protocol }: Traffic): void {
    const value = this.#shape.lookupIndex(0)!;
    const next = new DataView(value.buffer, value.byteOffset).getUint32(SHAPE.next, LITTLE_ENDIAN);
    this.#next.set(`${director.index} ${entry} ${target} ${port} ${protocol}`, next);
  }

  /** Sends `packets` and waits until they have come through. */
  send(traffic: Traffic, packets: number): Cost {
    this.#write(traffic);
    const nap = new Int32Array(new SharedArrayBuffer(4));
    const before = this.#arrived(traffic);
    const from = packetTime();
    for (let sent = 0; sent < packets; sent += CHUNK) {
      this.#attr.u32(32, Math.min(CHUNK, packets - sent)).do(CMD.PROG_TEST_RUN, "PROG_TEST_RUN");
    }
    let arrived = this.#arrived(traffic) - before;
    for (let waited = 0; arrived < packets && waited < 20; waited++) {
      Atomics.wait(nap, 0, 0, 2);
      const now = this.#arrived(traffic) - before;
      if (now > arrived) waited = 0;
      arrived = now;
    }
    const spent = packetTime() - from;
    this.#noteNext(traffic);
    return { sent: packets, arrived, ns: spent / Math.max(1, arrived) };
  }

  /** As {@link send}, again when too much got lost on the way (another process was in the way of the packets). @throws Error */
  measure(traffic: Traffic, packets: number): number {
    let cost: Cost | undefined;
    for (let attempt = 0; attempt < 4; attempt++) {
      cost = this.send(traffic, packets);
      if (cost.arrived >= packets * (1 - TOLERANCE) && cost.arrived <= packets) return cost.ns;
    }
    throw new Error(`of ${packets} packets ${cost!.arrived} arrived`);
  }

  /** Removes everything. */
  close(): void {
    for (const link of this.#links) close(link);
    for (const { name } of this.#directors) execFileSync("ip", ["netns", "del", name]);
    execFileSync("ip", ["netns", "del", this.#wires]);
    this.#object.close();
    // Not by removeBpffs(): in the virtual machine the first process has another root, and does not see this mount by its name.
    spawnSync("umount", ["-l", `${this.runDirectory}/bpf`], { stdio: "ignore" });
    rmSync(this.runDirectory, { recursive: true, force: true });
  }
}
