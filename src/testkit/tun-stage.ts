/**
 * A stage with a real network stack: a new network namespace whose two interfaces are TUN devices held by this process, so
 * that what it writes is what arrives and what it reads is what was sent. Used with the kernel's ip_vs in the virtual machine
 * and with the engine plane.
 *
 *     cl0 10.1.0.1/24, 2001:db8:1::1/64, default route     sv0 10.2.0.1/24, 2001:db8:2::1/64     VIPs on lo
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { check, close, raw } from "../sys/libc.ts";
import { newNetns } from "../sys/netns.ts";
import { AF, openSocket, SOCK, setOption, sockaddrIn } from "../sys/socket.ts";
import { Tun } from "../sys/tun.ts";
import type { CommandResult, Output, Stage } from "./play.ts";
import { NAMES, type Side } from "./scenario.ts";

const DEVICE = { client: "cl0", server: "sv0", local: "lo" } as const satisfies Record<Side, string>;
const SO_RCVBUF = 8;
const SOL_SOCKET = 1;
const IPPROTO_RAW = 255;
/** Protocols whose local deliveries are watched. */
const WATCHED = [6, 17, 132];

/** What is different between the planes behind a TUN stage. */
export interface TunStageOptions {
  /** The ipvsadm to run and what stands before its arguments. */
  readonly ipvsadm: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Sets what is below net.ipv4.vs. */
  setting(name: string, value: string): void;
  /** Whether packets come out before `write` returns (the kernel's do). */
  readonly synchronous: boolean;
  /** An IPv4 id of 0 may come out as any. */
  readonly anyZeroId?: boolean;
  /** Watch the local stack too. */
  readonly local: boolean;
}

function must(command: string, args: readonly string[], input = ""): void {
  const { status, stderr, error } = spawnSync(command, args, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}

/** Writes a sysctl of the namespace this thread is in. */
export function writeSysctl(name: string, value: string): void {
  writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, value);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Neighbour discovery and multicast listener reports are the interface's own talk, not the director's. */
function isChatter(bytes: Uint8Array): boolean {
  if (bytes[0] >> 4 !== 6) return false;
  const hopByHop = bytes[6] === 0;
  const at = hopByHop ? 40 + (bytes[41] + 1) * 8 : 40;
  const protocol = hopByHop ? bytes[40] : bytes[6];
  return protocol === 58 && bytes[at] >= 130 && bytes[at] <= 143;
}

/** Moves this thread into a fresh namespace and builds the stage there; `close` it before the next. */
export class TunStage implements Stage {
  readonly anyZeroId: boolean;
  private readonly options: TunStageOptions;
  private readonly tuns: Record<"client" | "server", Tun>;
  private readonly watching: number[] = [];
  private rawOut = -1;
  private readonly buffer = new Uint8Array(new ArrayBuffer(65536));

  constructor(options: TunStageOptions) {
    this.options = options;
    this.anyZeroId = options.anyZeroId ?? false;
    newNetns();
    this.tuns = { client: new Tun("cl0"), server: new Tun("sv0") };
    const lines = [
      "link set lo up",
      `address add ${NAMES["VIP"]}/32 dev lo`,
      `address add ${NAMES["VIP6"]}/128 dev lo`,
    ];
    for (const [device, net4, net6] of [
      ["cl0", "10.1.0.1/24", "2001:db8:1::1/64"],
      ["sv0", "10.2.0.1/24", "2001:db8:2::1/64"],
    ]) {
      lines.push(
        `link set dev ${device} addrgenmode none`,
        `link set dev ${device} up`,
        `address add ${net4} dev ${device}`,
        `address add ${net6} dev ${device} nodad`,
      );
    }
    lines.push("route add default dev cl0", "route add ::/0 dev cl0");
    must("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
    for (const [name, value] of [
      ["net.ipv4.ip_forward", "1"],
      ["net.ipv4.conf.all.rp_filter", "0"],
      ["net.ipv4.conf.cl0.rp_filter", "0"],
      ["net.ipv4.conf.sv0.rp_filter", "0"],
      ["net.ipv4.conf.all.send_redirects", "0"],
      ["net.ipv4.conf.cl0.send_redirects", "0"],
      ["net.ipv4.conf.sv0.send_redirects", "0"],
      ["net.ipv4.icmp_ratelimit", "0"],
      ["net.ipv6.icmp.ratelimit", "0"],
      ["net.ipv6.auto_flowlabels", "0"],
      ["net.ipv6.conf.all.forwarding", "1"],
    ]) {
      writeSysctl(name, value);
    }
    if (options.local) this.watchLocal();
  }

  private watchLocal(): void {
    this.rawOut = openSocket(AF.INET, SOCK.RAW | SOCK.CLOEXEC, IPPROTO_RAW);
    for (const protocol of WATCHED) {
      const fd = openSocket(AF.INET, SOCK.RAW | SOCK.NONBLOCK | SOCK.CLOEXEC, protocol);
      setOption(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
      this.watching.push(fd);
    }
  }

  async command(argv: readonly string[]): Promise<CommandResult> {
    const [name, ...args] = argv;
    if (name !== "ipvsadm") throw new Error(`"${name}" is not a command of scenarios`);
    const [program, ...before] = this.options.ipvsadm;
    const { status, stdout, stderr, error } = spawnSync(program, [...before, ...args], {
      encoding: "utf8",
      env: { ...process.env, ...this.options.env },
    });
    return { status: status ?? 127, stdout: stdout ?? "", stderr: error ? error.message : stderr };
  }

  inject(side: Side, bytes: Uint8Array): void {
    if (side === "local") {
      const to = sockaddrIn(bytes.subarray(16, 20));
      check(
        "sendto",
        raw.sendto(this.rawOut, bytes, bytes.length, 0, to, to.length),
        "send from the local stack",
      );
    } else if (!this.tuns[side].write(bytes))
      throw new Error(`the kernel did not take a packet on ${DEVICE[side]}`);
  }

  async outputs(expected: number): Promise<Output[]> {
    const found: Output[] = [];
    this.drain(found);
    if (this.options.synchronous) {
      // Only tunnels through deferred work are late: give those a moment when something is missing.
      for (let i = 0; i < 10 && found.length < expected; i++) {
        await pause(5);
        this.drain(found);
      }
      return found;
    }
    for (let i = 0; i < 200 && found.length < expected; i++) {
      await pause(5);
      this.drain(found);
    }
    await pause(25);
    this.drain(found);
    return found;
  }

  private drain(found: Output[]): void {
    for (const side of ["client", "server"] as const) {
      for (;;) {
        const n = this.tuns[side].read(this.buffer);
        if (n === 0) break;
        const bytes = this.buffer.slice(0, n);
        if (!isChatter(bytes)) found.push({ side, bytes });
      }
    }
    for (const fd of this.watching) {
      for (;;) {
        const n = raw.read(fd, this.buffer, this.buffer.length);
        if (n <= 0) break;
        found.push({ side: "local", bytes: this.buffer.slice(0, n) });
      }
    }
  }

  sysctl(name: string, value: string): void {
    if (name.includes(".")) writeSysctl(name, value);
    else this.options.setting(name, value);
  }

  wait(ms: number): Promise<void> {
    return pause(ms);
  }

  mark(mark: number, protocol: string, address: string, port: number): void {
    const ports = port ? ["--dport", String(port)] : [];
    must(address.includes(":") ? "ip6tables" : "iptables", [
      ...["-t", "mangle", "-A", "PREROUTING", "-d", address, "-p", protocol],
      ...ports,
      ...["-j", "MARK", "--set-mark", String(mark)],
    ]);
  }

  marklocal(mark: number): void {
    must("ip", ["rule", "add", "fwmark", String(mark), "lookup", "100"]);
    must("ip", ["route", "add", "local", "default", "dev", "lo", "table", "100"]);
  }

  mtu(side: Side, mtu: number): void {
    must("ip", ["link", "set", "dev", DEVICE[side], "mtu", String(mtu)]);
  }

  address(cidr: string): void {
    must("ip", ["address", "add", cidr, "dev", "lo"]);
  }

  localnet(cidr: string): void {
    must("ip", ["route", "add", "local", cidr, "dev", "lo"]);
  }

  close(): void {
    for (const fd of [...this.watching, this.rawOut]) close(fd);
    this.tuns.client.close();
    this.tuns.server.close();
  }
}

/** True when this machine lets us make namespaces and TUN devices. */
export function canUseTun(): boolean {
  try {
    return process.getuid?.() === 0 && readFileSync("/proc/misc", "utf8").includes("tun");
  } catch {
    return false;
  }
}
