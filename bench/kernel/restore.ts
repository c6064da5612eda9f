/**
 * Restoring and saving 1,000 services with 10 servers each, on the kernel's ip_vs in the virtual machine: our commands beside
 * Debian's, interleaved in one run of the guest, so that both meet the same machine. Emulation makes all of it slow; the ratio is
 * what counts.
 *
 *     npm run bench:kernel
 */

import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { bootGuest } from "../parts/guest.ts";

const SERVICES = 1000;
const SERVERS = 10;
const ROUNDS = 5;
/** This program, a bundle in dist/ beside the commands. */
const program = import.meta.filename;
const dist = dirname(program);

function rules(): string {
  let text = "";
  for (let s = 0; s < SERVICES; s++) {
    const service = `-t 10.${100 + (s >> 8)}.${s & 255}.1:80`;
    text += `-A ${service} -s wlc\n`;
    for (let d = 1; d <= SERVERS; d++)
      text += `-a ${service} -r 10.${s >> 8}.${s & 255}.${d}:8080 -m -w ${d}\n`;
  }
  return text;
}

const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1];

/** In the guest: measures, and prints a line of JSON for each. */
function measure(): void {
  const input = rules();
  const lines = SERVICES * (SERVERS + 1);
  const whose = {
    ours: (name: string, words: string[]) => [process.execPath, `${dist}/${name}.cjs`, ...words],
    "Debian's": (name: string, words: string[]) => [`/usr/sbin/${name}`, ...words],
  };
  type Who = keyof typeof whose;
  const times: Record<string, Record<Who, number[]>> = {};
  const run = (what: string, who: Who, name: string, words: string[], stdin = ""): string => {
    const [file, ...args] = whose[who](name, words);
    const start = performance.now();
    const { stdout, stderr, status } = spawnSync(file, args, {
      input: stdin,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LVSD_PLANE: "kernel" },
    });
    times[what] ??= { ours: [], "Debian's": [] };
    times[what][who].push(performance.now() - start);
    if (status !== 0) throw new Error(`${who} ${name} ended with ${status}: ${stderr.slice(0, 500)}`);
    return stdout;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const saved: string[] = [];
    for (const who of ["ours", "Debian's"] as const) {
      run("start-up: ipvsadm -v", who, "ipvsadm", ["-v"]);
      run(`ipvsadm-restore, ${lines} lines`, who, "ipvsadm-restore", [], input);
      saved.push(run(`ipvsadm -S -n, ${lines} lines`, who, "ipvsadm", ["-S", "-n"]));
    }
    if (saved[0] !== saved[1] || saved[0].split("\n").length !== lines + 1)
      throw new Error("the two did not save the same");
  }
  for (const [what, { ours, "Debian's": debians }] of Object.entries(times)) {
    const [a, b] = [median(ours), median(debians)];
    const note = `${(a / b).toFixed(2)} times Debian's; aim 2`;
    console.log(JSON.stringify({ name: `${what}, Debian's`, value: b, unit: "ms" }));
    console.log(
      JSON.stringify({
        name: `${what}, ours`,
        value: a,
        unit: "ms",
        note: what.startsWith("start") ? "" : note,
      }),
    );
  }
}

if (process.argv[2] === "guest") measure();
else bootGuest({ program, timeoutS: 900 });
