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
if (existsSync("/usr/sbin/ipvsadm"))
  commands.push(["Debian's ipvsadm -v (its error path without ip_vs)", "/usr/sbin/ipvsadm", ["-v"]]);

const env: NodeJS.ProcessEnv = { ...process.env };
for (const name of ["NODE_EXTRA_CA_CERTS", "NODE_OPTIONS"]) delete env[name];

const times = commands.map(() => [] as number[]);
for (let round = 0; round < ROUNDS; round++) {
  commands.forEach(([, file, args], i) => {
    const start = performance.now();
    spawnSync(file, args, { env, stdio: "ignore" });
    times[i].push(performance.now() - start);
  });
}
rmSync(folder, { recursive: true });

const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1];
const base = median(times[0]);
commands.forEach(([name], i) => {
  const value = median(times[i]);
  const note =
    i === 0 ? "the floor" : `${value < base ? "" : "+"}${(value - base).toFixed(1)} ms; aim +20 ms`;
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
