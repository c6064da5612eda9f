/**
 * How long the drop-in commands take to start, beside an empty Node script and (where it is installed) Debian's own ipvsadm:
 * median of interleaved runs, so that a busy machine slows all alike.
 *
 *     npm run bench -- startup
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROUNDS = 31;
/** Bundles lie beside this one. */
const dist = import.meta.dirname;
const folder = mkdtempSync(join(tmpdir(), "lvsd-startup-"));
const empty = join(folder, "empty.js");
writeFileSync(empty, "");

const commands: [string, string, string[]][] = [["an empty Node script", process.execPath, [empty]]];
const ours = join(dist, "ipvsadm.cjs");
commands.push(["ipvsadm -v", process.execPath, [ours, "-v"]]);
commands.push(["ipvsadm -Ln, no service", process.execPath, [ours, "-Ln"]]);
// In a namespace of their own, with what it takes to get there.
const space = `lvsd-startup-${process.pid}`;
const ip = (...words: string[]) => spawnSync("ip", words, { stdio: "ignore" }).status === 0;
const run = join(folder, "inside");
const inside = ["netns", "exec", space, "env", `LVSD_RUN_DIR=${run}`, process.execPath];
const withService = process.geteuid?.() === 0 && ip("netns", "add", space);
if (withService) {
  commands.push(["an empty Node script in a namespace", "ip", [...inside, empty]]);
  commands.push([
    "ipvsadm -Ln in a namespace, one service on the default plane",
    "ip",
    [...inside, ours, "-Ln"],
  ]);
}
if (existsSync("/usr/sbin/ipvsadm"))
  commands.push(["Debian's ipvsadm -v (its error path without ip_vs)", "/usr/sbin/ipvsadm", ["-v"]]);

// Rules of other namespaces of this machine are not looked at.
const env: NodeJS.ProcessEnv = { ...process.env, LVSD_RUN_DIR: join(folder, "run") };
for (const name of ["NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "LVSD_PLANE"]) delete env[name];
const add = [...inside, ours, "-A", "-t", "192.0.2.1:80", "-s", "rr"];
if (withService) spawnSync("ip", add, { env, stdio: "inherit" });

const times = commands.map(() => [] as number[]);
for (let round = 0; round < ROUNDS; round++) {
  commands.forEach(([, file, args], i) => {
    const start = performance.now();
    spawnSync(file, args, { env, stdio: "ignore" });
    times[i].push(performance.now() - start);
  });
}
if (withService) {
  spawnSync("ip", [...inside, ours, "-C"], { env, stdio: "ignore" });
  ip("netns", "del", space);
}
spawnSync("umount", [join(run, "bpf")], { stdio: "ignore" });
rmSync(folder, { recursive: true });

const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1];
const medians = times.map(median);
commands.forEach(([name], i) => {
  const value = medians[i];
  const base =
    medians[
      name.includes("in a namespace") ? commands.findIndex(([n]) => /^an .* in a namespace$/.test(n)) : 0
    ];
  const note = name.startsWith("an empty")
    ? "the floor"
    : `${value < base ? "" : "+"}${(value - base).toFixed(1)} ms; aim +20 ms`;
  console.log(JSON.stringify({ name, value, unit: "ms", note }));
});
console.log(
  JSON.stringify({
    name: "size of the ipvsadm bundle",
    value: statSync(ours).size / 1024,
    unit: "kB",
    note: "aim 60 kB",
  }),
);
