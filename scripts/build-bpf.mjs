#!/usr/bin/env node
/**
 * Builds bpf/lvsd.bpf.o: generates bpf/layout.h from src/planes/ebpf/layout.ts, compiles bpf/lvsd.bpf.c with clang, keeps BTF and
 * drops DWARF. The same sources give the same bytes wherever they lie. With --check nothing is written: the exit code says
 * whether the committed header and object are what the sources give. With --quiet only problems are told.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bpf = join(root, "bpf");
const check = process.argv.includes("--check");
const quiet = process.argv.includes("--quiet");

/** Include directory of the architecture's asm/ headers, as clang -target bpf does not look there. */
const MACHINE = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];

const work = mkdtempSync(join(tmpdir(), "lvsd-bpf-"));
try {
  const header = await layoutHeader();
  const stale = readIfThere(join(bpf, "layout.h")) !== header;
  if (check && stale) fail("bpf/layout.h is not what src/planes/ebpf/layout.ts gives; run npm run build:bpf");
  if (stale) writeFileSync(join(bpf, "layout.h"), header);
  const object = compile();
  const path = join(bpf, "lvsd.bpf.o");
  const same = existsSync(path) && readFileSync(path).equals(object);
  if (check && !same) fail("bpf/lvsd.bpf.o is not what the sources in bpf/ give; run npm run build:bpf");
  if (!same) {
    writeFileSync(`${path}.new`, object);
    renameSync(`${path}.new`, path);
  }
  if (!quiet) console.log(`bpf/lvsd.bpf.o: ${object.length} bytes${same ? ", unchanged" : ""}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function layoutHeader() {
  const file = join(work, "header.mjs");
  await build({
    entryPoints: [join(root, "src/planes/ebpf/header.ts")],
    outfile: file,
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "warning",
  });
  return (await import(pathToFileURL(file))).layoutHeader();
}

function compile() {
  const out = join(work, "lvsd.bpf.o");
  const args = ["-O2", "-g", "-target", "bpfel", "-mcpu=v3", "-std=gnu11", "-Wall", "-Wextra", "-Werror"];
  // Relative names, and no directory of this machine in the debug information that BTF is made of.
  args.push("-fdebug-compilation-dir=.", "-fno-ident", "-Wno-unused-function");
  if (MACHINE) args.push(`-isystem/usr/include/${MACHINE}`);
  args.push("-c", "lvsd.bpf.c", "-o", out);
  execFileSync("clang", args, { cwd: bpf, stdio: "inherit" });
  execFileSync("llvm-strip", ["-g", out]);
  return readFileSync(out);
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
  throw new Error(message);
}
