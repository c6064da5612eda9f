#!/usr/bin/env node
/**
 * Runs the checks, the build and the test projects, goes on past a failure, and ends with a summary. The virtual machine's tests, which
 * mostly wait, run beside the others.
 * `test.mjs kernel` runs the whole scenario suite on the kernel's own ip_vs instead, `test.mjs long` the end-to-end tests with what
 * `npm test` leaves out for its length.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const suite = process.argv[2] ?? "usual";
const isRoot = process.getuid() === 0;
const scratch = mkdtempSync(join(tmpdir(), "lvsd-test-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const env = { ...process.env };
delete env.NODE_EXTRA_CA_CERTS;

/** Runs a command; what it prints is shown at once, or given back when `quiet`. */
function run(command, args, extra = {}, quiet = false) {
  const from = Date.now();
  const stdio = quiet ? ["ignore", "pipe", "pipe"] : "inherit";
  const child = spawn(command, args, { cwd: root, stdio, env: { ...env, ...extra } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ ok: false, seconds: 0, output: String(error) }));
    child.on("close", (status) => {
      resolve({ ok: status === 0, seconds: (Date.now() - from) / 1000, output });
    });
  });
}

/** A step that passes or fails as a whole. */
async function check(name, command, args) {
  console.log(`\n== ${name}`);
  const { ok, seconds } = await run(command, args);
  return { name, passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, seconds };
}

/** That the committed BPF object is what its source gives; needs clang, which setup installs where it may. */
function bpfObject() {
  if (spawnSync("clang", ["--version"]).status === 0)
    return check("BPF object", "node", ["scripts/build-bpf.mjs", "--check"]);
  console.log("\n== BPF object: left out, there is no clang (Debian package clang)");
  return { name: "BPF object", passed: 0, failed: 0, skipped: 1, seconds: 0 };
}

/** A vitest project, counted test by test. A quiet one is shown when it has ended. */
async function tests(name, args, extra = {}, quiet = false) {
  if (!quiet) console.log(`\n== tests: ${name}`);
  const report = join(scratch, `${name}.json`);
  const { ok, seconds, output } = await run(
    "node_modules/.bin/vitest",
    [
      "run",
      "--passWithNoTests",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      ...args,
    ],
    extra,
    quiet,
  );
  if (quiet) console.log(`\n== tests: ${name}\n${output}`);
  const count = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(report)) {
    const told = JSON.parse(readFileSync(report, "utf8"));
    count.passed = told.numPassedTests;
    count.failed = told.numFailedTests;
    count.skipped = told.numPendingTests + (told.numTodoTests ?? 0);
  }
  if (!ok && count.failed === 0) count.failed = 1; // a file that could not be loaded, an error outside tests
  return { name, ...count, seconds };
}

const bin = (name) => `node_modules/.bin/${name}`;
const project = (name, extra, quiet) => tests(name, ["--project", name], extra, quiet);
const built = () => check("build", "node", ["scripts/build.mjs", "--quiet"]);
async function inTurn(...steps) {
  const all = [];
  for (const step of steps) all.push(await step());
  return all;
}
/** By name; the steps of one list run side by side. */
const suites = {
  usual: [
    [() => check("format and lint", bin("biome"), ["check", "."])],
    [() => check("types", bin("tsc"), ["--noEmit"])],
    [bpfObject],
    [built],
    isRoot
      ? [
          () =>
            inTurn(
              () => project("unit"),
              () => project("e2e"),
            ),
          () => project("vm", {}, true),
        ]
      : [() => project("unit")],
  ],
  kernel: [[built], [() => project("vm", { LVSD_KERNEL: "all" })]],
  long: [[built], [() => project("e2e", { LVSD_E2E: "all" })]],
};

const results = [];
for (const together of suites[suite])
  results.push(...(await Promise.all(together.map((step) => step()))).flat());

console.log("\n== summary");
for (const { name, passed, failed, skipped, seconds } of results) {
  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  console.log(`${name.padEnd(16)} ${failed > 0 ? "FAILED" : "ok    "}  ${counts} (${seconds.toFixed(1)} s)`);
}
if (!isRoot && suite === "usual") {
  console.log(
    "e2e, vm           left out: they make network namespaces and a virtual machine, which needs root",
  );
}
const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
const skipped = total("skipped") > 0 ? `, ${total("skipped")} skipped` : "";
console.log(`${total("passed")} passed, ${total("failed")} failed${skipped}`);
process.exitCode = total("failed") > 0 ? 1 : 0;
