/**
 * The same list of TCP checks under Debian's keepalived and under `lvsd run`, one after the other in one run of the virtual machine
 * (keepalived does not start without ip_vs). Emulation makes all of it slow, compiled JavaScript most of all: the list is shorter
 * than that of bench/checks.ts, and our processor time is far above what it is on a real machine.
 *
 *     npm run bench:kernel
 */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { configuration, measureDaemon, NETWORK, Servers, serve } from "../parts/check-load.ts";
import { bootGuest } from "../parts/guest.ts";

const SERVERS = 1000;
const INTERVAL_S = 5;
const [WARMUP_S, MEASURED_S] = [50, 30];
/** This program, a bundle in dist/ beside the commands. */
const program = import.meta.filename;
const dist = dirname(program);

/** In the guest: runs both daemons, and prints a line of JSON for each number. */
async function measure(): Promise<void> {
  execFileSync("ip", ["route", "add", "local", NETWORK, "dev", "lo"]);
  const file = "/run/bench.conf";
  writeFileSync(file, configuration(SERVERS, INTERVAL_S));
  const servers = new Servers([process.execPath, program, "serve"]);
  await servers.ready();
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LVSD_PLANE: "kernel", NODE_EXTRA_CA_CERTS: "" };
  const daemons = {
    "Debian's keepalived": ["/usr/sbin/keepalived", "-n", "-C", "-f", file],
    "lvsd run": [process.execPath, join(dist, "lvsd.cjs"), "run", "-f", file],
  };
  for (const [name, command] of Object.entries(daemons)) {
    const load = await measureDaemon(command, env, servers, WARMUP_S, MEASURED_S);
    const print = (what: string, value: number, unit: string): void =>
      console.log(JSON.stringify({ name: `${name}: ${what}`, value, unit }));
    print(`TCP checks every 5 s of ${SERVERS}`, load.checksPerS * INTERVAL_S, "checks");
    print("one core busy", load.busyPercent, "%");
    print("resident memory", load.memoryMb, "MB");
  }
  servers.child.kill("SIGKILL");
}

if (process.argv[2] === "guest") void measure();
else if (process.argv[2] === "serve") serve();
else bootGuest({ program, timeoutS: 900 });
