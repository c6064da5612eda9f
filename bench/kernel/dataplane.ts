/**
 * Packets through the eBPF plane beside the kernel's ip_vs, interleaved in one run of the virtual machine. Its processor is
 * emulated: only ratios mean something, and only roughly, since emulation hides what memory costs.
 *
 *     npm run bench:kernel -- dataplane
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compilePackets } from "../dataplane/compile.ts";
import { pin } from "../dataplane/cpu.ts";
import { PacketCases } from "../dataplane/packet-cases.ts";
import { inRounds } from "../dataplane/rounds.ts";
import { Wires } from "../dataplane/wires.ts";

/** At least so many times as fast as ip_vs by the same method. */
const AIMS = {
  "TC NAT": 1.25,
  "TC DR": 1.1,
  "XDP NAT": 6,
  "XDP DR": 6,
  "new connections, XDP NAT": 6,
  "new connections, XDP DR": 6,
};
const ROUNDS = 9;
/** This program, a bundle in dist/ beside the commands. */
const program = import.meta.filename;
const dist = dirname(program);

/** In the guest: measures, and prints a line of JSON for each ratio. */
function measure(object: string): void {
  pin();
  const wires = new Wires(readFileSync(object));
  try {
    const cases = new PacketCases(wires, {
      packets: 8192,
      openings: 4096,
      connections: [],
      services: [],
      servers: [],
    });
    const all = [
      ...cases.baselines(),
      ...cases.ipVs(),
      ...cases.ebpf(
        AIMS,
        (method, opening) => `${opening ? "new connections, " : ""}ip_vs ${method.toUpperCase()}`,
      ),
    ];
    inRounds(all, ROUNDS, (cost) => `${(cost / 1000).toFixed(1)} us a packet, emulated`);
  } finally {
    wires.close();
  }
}

/** Here: boots the guest with this program in it. */
function boot(): void {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-bench-"));
  try {
    const object = join(folder, "packets.bpf.o");
    writeFileSync(object, compilePackets(join(dist, "../bench/dataplane/packets.bpf.c")));
    const script = join(folder, "guest.sh");
    const output = "/run/bench.out";
    const command = `${process.execPath} ${program} guest ${object} >${output} 2>&1`;
    writeFileSync(script, `#!/bin/sh\n${command}\nstatus=$?\ncat ${output}\nexit $status\n`);
    chmodSync(script, 0o755);
    const { stdout, stderr, status } = spawnSync(join(dist, "../scripts/vm/run"), [script], {
      encoding: "utf8",
      env: { ...process.env, TIMEOUT_S: "900" },
    });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[2] === "guest") measure(process.argv[3] ?? "");
else boot();
