#!/usr/bin/env node
/**
 * Runs the checks, the build and the test projects one after another, goes on past a failure, and ends with a summary.
 * `test.mjs kernel` runs the whole scenario suite on the kernel's own ip_vs instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const kernel = process.argv[2] === "kernel";
const isRoot = process.getuid() === 0;
const scratch = mkdtempSync(join(tmpdir(), "lvsd-test-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const env = { ...process.env };
delete env.NODE_EXTRA_CA_CERTS;

function run(command, args, extra = {}) {
  const from = Date.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...env, ...extra } });
  return { ok: status === 0, seconds: (Date.now() - from) / 1000 };
}

/** A step that passes or fails as a whole. */
function check(name, command, args) {
  console.log(`\n== ${name}`);
  const { ok, seconds } = run(command, args);
  return { name, passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, seconds };
}

/** That the committed BPF object is what its source gives; needs clang, which setup installs where it may. */
function bpfObject() {
  if (spawnSync("clang", ["--version"]).status === 0)
    return check("BPF object", "node", ["scripts/build-bpf.mjs", "--check"]);
  console.log("\n== BPF object: left out, there is no clang (Debian package clang)");
  return { name: "BPF object", passed: 0, failed: 0, skipped: 1, seconds: 0 };
}

/** A vitest project, counted test by test. */
function tests(name, args, extra = {}) {
  console.log(`\n== tests: ${name}`);
  const report = join(scratch, `${name}.json`);
  const { ok, seconds } = run(
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
  );
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
const steps = kernel
  ? [
      () => check("build", "node", ["scripts/build.mjs", "--quiet"]),
      () => tests("kernel", ["--project", "vm"], { LVSD_KERNEL: "all" }),
    ]
  : [
      () => check("format and lint", bin("biome"), ["check", "."]),
      () => check("types", bin("tsc"), ["--noEmit"]),
      () => bpfObject(),
      () => check("build", "node", ["scripts/build.mjs", "--quiet"]),
      () => tests("unit", ["--project", "unit"]),
      ...(isRoot ? [() => tests("e2e", ["--project", "e2e"]), () => tests("vm", ["--project", "vm"])] : []),
    ];

const results = steps.map((step) => step());

console.log("\n== summary");
for (const { name, passed, failed, skipped, seconds } of results) {
  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  console.log(`${name.padEnd(16)} ${failed > 0 ? "FAILED" : "ok    "}  ${counts} (${seconds.toFixed(1)} s)`);
}
if (!isRoot && !kernel) {
  console.log(
    "e2e, vm           left out: they make network namespaces and a virtual machine, which needs root",
  );
}
const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
const skipped = total("skipped") > 0 ? `, ${total("skipped")} skipped` : "";
console.log(`${total("passed")} passed, ${total("failed")} failed${skipped}`);
process.exitCode = total("failed") > 0 ? 1 : 0;
