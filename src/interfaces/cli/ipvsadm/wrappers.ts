/**
 * The commands `ipvsadm-save` and `ipvsadm-restore`.
 * @module
 */
import type { Names } from "../names.ts";
import type { Io } from "./io.ts";
import { type OpenPlane, run } from "./main.ts";

/** `ipvsadm-save [-n] [--full]`: prints the table as rules. */
export async function save(
  words: readonly string[],
  io: Io,
  names: Names,
  openPlane: OpenPlane,
): Promise<number> {
  const options = words.filter((w) => w.startsWith("-"));
  if (options.some((w) => w !== "-n" && w !== "--full")) {
    io.stderr(`${io.program}: Script to save the IPVS table to stdout.\n`);
    io.stderr("   With the -n option, prints out the table in numeric format.\n");
    return 1;
  }
  const once = [...new Set(options)];
  return run(["-S", ...once], { ...io, program: "ipvsadm" }, names, openPlane);
}

/** Options of ours that `ipvsadm-restore` hands on; everything else it ignores, as it always did. */
const HANDED_ON = ["--test", "--atomic", "--explain"];

/** `ipvsadm-restore`: clears the table, then runs the rules on stdin. Lines that begin with `#` are comments. */
export async function restore(
  words: readonly string[],
  io: Io,
  names: Names,
  openPlane: OpenPlane,
): Promise<number> {
  let text = "";
  for await (const chunk of io.stdin()) text += chunk;
  // Comments become empty lines, so that line numbers stay those of the file.
  const rules = text.replace(/^#.*$/gm, "");
  const inner: Io = {
    ...io,
    program: "ipvsadm",
    async *stdin() {
      yield rules;
    },
  };
  const options = HANDED_ON.filter((o) => words.includes(o));
  const whole = options.includes("--test") || options.includes("--atomic");
  if (!whole) await run(["-C"], inner, names, openPlane);
  return run(["-R", ...options], inner, names, openPlane, { clearFirst: whole });
}
