#!/usr/bin/env node
/**
 * Bundles every command into one CommonJS file in dist/ (the form Node starts fastest) and links them in dist/bin.
 * With --quiet only problems are told.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const quiet = process.argv.includes("--quiet");

const KERNEL_PLANE = "src/planes/kernel/kernel.ts";
const EBPF_PLANE = "src/planes/ebpf/ebpf.ts";

/** Command → its entry point. Those with `onPath` get a link in dist/bin. */
const COMMANDS = [
  { name: "ipvsadm", entry: "src/interfaces/cli/ipvsadm/entry-ipvsadm.ts", onPath: true },
  { name: "ipvsadm-save", entry: "src/interfaces/cli/ipvsadm/entry-save.ts", onPath: true },
  { name: "ipvsadm-restore", entry: "src/interfaces/cli/ipvsadm/entry-restore.ts", onPath: true },
  { name: "keepalived", entry: "src/interfaces/cli/keepalived/entry.ts", onPath: true },
  { name: "genhash", entry: "src/interfaces/cli/genhash-entry.ts", onPath: true },
  { name: "ldirectord", entry: "src/interfaces/cli/ldirectord/entry.ts", onPath: true },
  { name: "lvsd", entry: "src/interfaces/cli/lvsd/entry.ts", onPath: true },
  { name: "lvsd-engine", entry: "src/planes/engine/main.ts", onPath: false },
  { name: "lvsd-sync", entry: "src/planes/ebpf/sync/main.ts", onPath: false },
  { name: "lvsd-vrrp", entry: "src/interfaces/daemon/vrrp-main.ts", onPath: false },
  { name: "lvsd-kernel", entry: KERNEL_PLANE, onPath: false },
  { name: "lvsd-ebpf", entry: EBPF_PLANE, onPath: false },
];

/** These planes are files of their own beside the commands: most runs do not need them, and they bring foreign functions along. */
const planesApart = {
  name: "planes apart",
  setup: (build) =>
    build.onResolve({ filter: /\/(kernel\/kernel|ebpf\/ebpf)\.ts$/ }, ({ path, kind }) =>
      kind === "entry-point" ? undefined : { path: `./lvsd-${basename(path, ".ts")}.cjs`, external: true },
    ),
};

// Node 20 reads the whole certificate file at every start when NODE_EXTRA_CA_CERTS is set: 100 ms that no command here needs.
const SHEBANG = "#!/usr/bin/env -S -u NODE_EXTRA_CA_CERTS node";

/** Writes a file so that a process that starts meanwhile sees the old one or the new one. */
function place(path, content) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content);
  chmodSync(temporary, 0o755);
  renameSync(temporary, path);
}

function link(path, target) {
  try {
    if (readlinkSync(path) === target) return;
    rmSync(path);
  } catch {
    // Nothing there yet.
  }
  symlinkSync(target, path);
}

async function bundle({ name, entry, onPath }) {
  if (!existsSync(join(root, entry))) {
    console.log(`build: ${name} left out, ${entry} does not exist`);
    return;
  }
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: `dist/${name}.cjs`,
    write: false,
    bundle: true,
    minify: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["koffi"],
    plugins: [planesApart],
    supported: { "dynamic-import": false }, // require() is quicker, and beside what is bundled nothing is a module
    banner: { js: SHEBANG },
    define: { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
    legalComments: "none",
    logLevel: "warning",
  });
  const [file] = result.outputFiles;
  place(file.path, file.contents);
  if (onPath) link(join(root, "dist/bin", name), `../${name}.cjs`);
  if (!quiet) console.log(`build: dist/${name}.cjs ${(file.contents.length / 1000).toFixed(1)} kB`);
}

const started = new Date();
mkdirSync(join(root, "dist/bin"), { recursive: true });
const outcomes = await Promise.allSettled(COMMANDS.map(bundle));
// The BPF programs go along as they are.
const programs = join(root, "bpf/lvsd.bpf.o");
if (existsSync(programs)) {
  const copy = join(root, "dist/lvsd.bpf.o");
  copyFileSync(programs, `${copy}.new`);
  renameSync(`${copy}.new`, copy);
}
const failed = outcomes.filter((outcome) => outcome.status === "rejected");
if (failed.length > 0) process.exit(1);
// Sources changed while esbuild read them are newer than this stamp, and built again next time.
const stamp = join(root, "dist/.built");
writeFileSync(stamp, "");
utimesSync(stamp, started, started);
