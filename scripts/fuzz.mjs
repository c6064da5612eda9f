#!/usr/bin/env node
/** Runs test/ebpf/fuzz.ts, or another program of test/ebpf that is named first; the other arguments are its own. */
import { spawnSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const [name, ...options] = process.argv.slice(2);
// Beside the commands, where koffi and the BPF object are found as they are from those.
const outfile = join(root, "dist", `${name}-${process.pid}.cjs`);
await build({
  entryPoints: [join(root, "test/ebpf", `${name}.ts`)],
  outfile,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["koffi"],
  define: { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
  logLevel: "warning",
});
copyFileSync(join(root, "bpf/lvsd.bpf.o"), join(root, "dist/lvsd.bpf.o"));
process.on("SIGINT", () => {});
const env = { ...process.env };
delete env.NODE_EXTRA_CA_CERTS;
const { status } = spawnSync(process.execPath, [outfile, ...options], { stdio: "inherit", env });
rmSync(outfile);
process.exitCode = status ?? 1;
