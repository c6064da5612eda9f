/**
 * The generator and the sink, compiled anew by every run: they are no part of what is shipped.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MACHINE: Partial<Record<string, string>> = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

/** Compiles packets.bpf.c with clang: the object. @param source its path */
export function compilePackets(source: string): Uint8Array {
  const work = mkdtempSync(join(tmpdir(), "lvsd-packets-"));
  try {
    const out = join(work, "packets.bpf.o");
    const include = MACHINE[process.arch] ? [`-isystem/usr/include/${MACHINE[process.arch]}`] : [];
    const options = ["-O2", "-g", "-target", "bpfel", "-mcpu=v3", ...include];
    execFileSync("clang", [...options, "-c", source, "-o", out], { stdio: "inherit" });
    return readFileSync(out);
  } finally {
    rmSync(work, { recursive: true });
  }
}
