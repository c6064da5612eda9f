/**
 * Nothing that the daemon does delays an advert: its VRRP process has an event loop, and where allowed a real-time priority, of its own.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { VrrpStatus } from "../../src/control/vrrp/messages.ts";
import { virtualAddress, vrrpInstance, vrrpSpec } from "../../src/testkit/vrrp-spec.ts";
import { Bed, PROGRAM, pause, until } from "./vrrp-bed.ts";

const ready = process.getuid?.() === 0 && existsSync(PROGRAM);
const LVSD = join(import.meta.dirname, "../../dist/lvsd.cjs");
const INTERVAL_MS = 500;
const BURN_MS = 6000;

/** A daemon that forks the VRRP process, as lvsd does, and then does nothing but compute, on two threads more than there are processors. */
const DAEMON = `
const { fork } = require("node:child_process");
const { Worker } = require("node:worker_threads");
const { readFileSync } = require("node:fs");
const { availableParallelism } = require("node:os");
const [program, file] = process.argv.slice(2);
const child = fork(program, [], { serialization: "json", stdio: ["ignore", "inherit", "inherit", "ipc"] });
const burn = "const end = Date.now() + ${BURN_MS}; while (Date.now() < end) JSON.stringify(process.memoryUsage());";
child.send({ kind: "configure", spec: JSON.parse(readFileSync(file, "utf8")) });
child.on("message", (m) => {
  if (m.kind === "event" && m.event.kind === "state" && m.event.to === "master") {
    for (let i = 0; i <= availableParallelism(); i++) new Worker(burn, { eval: true });
    const end = Date.now() + ${BURN_MS};
    setTimeout(() => {
      while (Date.now() < end) JSON.stringify(process.memoryUsage());
      child.send({ kind: "status", id: 7 });
      child.send({ kind: "stats", id: 8 });
    }, 10);
  }
  if (m.kind === "status") console.log(JSON.stringify(m.status));
  if (m.kind === "stats") {
    console.log(JSON.stringify(m.stats));
    child.send({ kind: "stop" });
  }
});
child.on("exit", (code) => process.exit(code));
`;

test.skipIf(!ready)(
  "an advert is late by less than a tenth of its interval while the daemon is busy",
  async () => {
    const bed = await Bed.make();
    try {
      const addresses = Array.from({ length: 20 }, (_, i) => virtualAddress(`192.0.2.${100 + i}/24`));
      const file = bed.write(
        vrrpSpec([vrrpInstance({ priority: 255, version: 3, advertIntMs: INTERVAL_MS, addresses })]),
      );
      const script = join(bed.directory, "daemon.cjs");
      writeFileSync(script, DAEMON);
      const wire = await listen(bed);
      const daemon = spawn("ip", ["netns", "exec", bed.a, process.execPath, script, PROGRAM, file], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
      });
      let out = "";
      daemon.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
      });
      expect(await new Promise((resolve) => daemon.once("exit", resolve))).toBe(0);
      const gaps = await wire.gaps();

      const [status, [stats]] = out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)) as [VrrpStatus, [{ advertsSent: number }]];
      expect(stats.advertsSent).toBeGreaterThanOrEqual(Math.floor(BURN_MS / INTERVAL_MS) - 1);
      expect(status.worstLateMs).toBeLessThan(INTERVAL_MS / 10);
      // And on the wire: the other router hears them in time.
      expect(gaps.length).toBeGreaterThan(8);
      expect(Math.max(...gaps)).toBeLessThan(INTERVAL_MS * 1.1 + 5);
      console.log(
        `worst lateness ${status.worstLateMs.toFixed(2)} ms, real-time priority ${status.realtimePriority}`,
      );
    } finally {
      await bed.remove();
    }
  },
);

/** The routers that speak on the wire, and when. */
async function listen(bed: Bed): Promise<{ gaps(): Promise<number[]> }> {
  const command = ["netns", "exec", bed.b, "tcpdump", "-n", "-tt", "-l", "-i", "v0", "proto", "112"];
  const dump = spawn("ip", command);
  let heard = "";
  dump.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  await new Promise((resolve) => dump.stderr.once("data", resolve));
  return {
    /** Milliseconds between the adverts of the master. */
    async gaps() {
      const gone = new Promise((resolve) => dump.once("exit", resolve));
      dump.kill("SIGINT");
      await gone;
      const lines = heard.split("\n").filter((line) => line.includes("prio 255"));
      const times = lines.map((line) => 1000 * Number(line.split(" ")[0]));
      return times.slice(1).map((t, i) => t - times[i]);
    },
  };
}

const SERVICES = 1000;
const SERVERS_EACH = 10;

/** 1,000 virtual servers with ten servers each, every one with a check of its own to a port where nobody listens. */
function configuration(scheduler: string): string {
  const services = Array.from({ length: SERVICES }, (_, s) => {
    const servers = Array.from(
      { length: SERVERS_EACH },
      (_, r) =>
        `  real_server 192.0.2.2 ${20000 + s * SERVERS_EACH + r} {\n    TCP_CHECK {\n      connect_timeout 2\n    }\n  }\n`,
    );
    return `virtual_server 10.9.${s >> 8}.${s & 255} 80 {\n  delay_loop 5\n  lvs_sched ${scheduler}\n  lvs_method NAT\n  protocol TCP\n${servers.join("")}}\n`;
  });
  return `vrrp_instance VI {
  version 3
  interface v0
  virtual_router_id 51
  priority 255
  advert_int ${INTERVAL_MS / 1000}
  virtual_ipaddress {
    192.0.2.100/24
  }
}
${services.join("")}`;
}

test.skipIf(!ready)(
  "nor while lvsd checks 10,000 servers and takes over a configuration with 1,000 services",
  async () => {
    const bed = await Bed.make();
    const file = join(bed.directory, "keepalived.conf");
    const control = join(bed.directory, "control");
    const environment = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: "",
      LVSD_PLANE: "engine",
      LVSD_RUN_DIR: join(bed.directory, "run"),
    };
    const lvsd = (...words: string[]) => ["netns", "exec", bed.a, process.execPath, LVSD, ...words];
    interface Status {
      readonly vrrp?: VrrpStatus;
      readonly reloads: number;
      readonly load: { readonly ok: boolean };
      readonly lvs?: { readonly probes: { readonly distinct: number } };
    }
    const status = async (): Promise<Status> => {
      const { stdout } = await promisify(execFile)("ip", lvsd("status", "--json", "--control", control), {
        env: environment,
        maxBuffer: 1 << 28,
      });
      return JSON.parse(stdout);
    };
    writeFileSync(file, configuration("rr"));
    const daemon = spawn("ip", lvsd("run", "-f", file, "--control", control), {
      env: environment,
      stdio: "ignore",
    });
    try {
      await until("it is master", () => bed.has(bed.a, "192.0.2.100"), 60_000);
      const wire = await listen(bed);
      await pause(8000);
      writeFileSync(file, configuration("wrr"));
      daemon.kill("SIGHUP");
      await pause(10_000);
      const gaps = await wire.gaps();
      expect(gaps.length).toBeGreaterThan(30);
      expect(Math.max(...gaps)).toBeLessThan(INTERVAL_MS * 1.1 + 5);
      const { vrrp, reloads, load, lvs } = await status();
      expect([reloads, load.ok, lvs?.probes.distinct]).toEqual([1, true, SERVICES * SERVERS_EACH]);
      expect(vrrp?.worstLateMs).toBeLessThan(INTERVAL_MS / 10);
      console.log(
        `worst lateness since the reload ${vrrp?.worstLateMs.toFixed(2)} ms, longest gap ${Math.max(...gaps).toFixed(1)} ms`,
      );
    } finally {
      const gone = new Promise((resolve) => daemon.once("exit", resolve));
      daemon.kill("SIGTERM");
      await gone;
      await promisify(execFile)("ip", lvsd("engine", "stop"), { env: environment }).catch(() => {});
      await bed.remove();
    }
  },
);
