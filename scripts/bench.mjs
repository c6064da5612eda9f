#!/usr/bin/env node
/**
 * Runs the benchmarks, bench/*.ts (or those whose names are given), and prints one table. With --kernel those of bench/kernel,
 * which run on the kernel's own ip_vs in the virtual machine.
 *
 * A benchmark prints what it measured as lines of JSON, `{"name", "value", "unit", "note"?}`; other lines are shown as they
 * come.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const kernel = process.argv.includes("--kernel");
const folder = join(root, kernel ? "bench/kernel" : "bench");

/** Runs one bundled benchmark; resolves with its measurements. */
function measure(file) {
  const env = { ...process.env };
  delete env.NODE_EXTRA_CA_CERTS;
  const child = spawn(process.execPath, ["--expose-gc", file, ...options], {
    stdio: ["ignore", "pipe", "inherit"],
    env,
  });
  const rows = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("{")) return console.log(line);
    rows.push(JSON.parse(line));
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ rows, ok: code === 0 })));
}

const words = process.argv.slice(2).filter((word) => word !== "--kernel");
/** Options are the benchmarks' own. */
const options = words.filter((word) => word.startsWith("--"));
const wanted = words.filter((word) => !word.startsWith("--"));
const files = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((name) => name.endsWith(".ts"))
  .filter((name) => wanted.length === 0 || wanted.includes(basename(name, ".ts")))
  .sort();

const table = new Table({
  head: ["benchmark", "what", "reached", "unit", "note"],
  colAligns: ["left", "left", "right"],
  // Plain text: the table is pasted into documents and mails.
  style: { head: [], border: [], compact: true },
});
let failed = 0;
for (const name of files) {
  // Beside the commands, so that external packages and the engine are found as they are from those.
  const outfile = join(root, "dist", `bench-${basename(name, ".ts")}-${process.pid}.cjs`);
  await build({
    entryPoints: [join(folder, name)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["koffi"],
    define: { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
    logLevel: "warning",
  });
  console.log(`bench: ${basename(name, ".ts")}`);
  const { rows, ok } = await measure(outfile);
  rmSync(outfile);
  if (!ok) {
    failed++;
    console.log(`bench: ${basename(name, ".ts")} failed`);
  }
  for (const { name: what, value, unit, note } of rows) {
    table.push([
      basename(name, ".ts"),
      what,
      value.toLocaleString("en-US", { maximumFractionDigits: 2 }),
      unit,
      note ?? "",
    ]);
  }
}
console.log(table.toString());
process.exitCode = failed > 0 ? 1 : 0;
