/**
 * `lvsd lab`: the tutorials as living networks.
 * @module
 */
import { LABS, VARIANTS } from "../../lab/labs/index.ts";
import { downLabs, runLab } from "../../lab/run.ts";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What commander hands over. */
interface Options {
  readonly prefix: string;
  readonly keep?: true;
  readonly trace?: true | string;
  readonly sync?: true;
}

function list(): number {
  const width = Math.max(...LABS.map((lab) => lab.name.length));
  for (const lab of LABS) print(`${lab.name.padEnd(width)}  ${lab.title}`);
  print("");
  print(
    "lvsd lab NAME runs one, with --trace its packets are shown at every interface, with --keep it stays up.",
  );
  return 0;
}

/** What can be done about missing root: everything but a lab that stays. */
async function withoutRoot(keep: boolean): Promise<number> {
  if (keep)
    throw new Error(
      "--keep needs root: without it the lab lives in a user namespace that ends with this command",
    );
  const { runInUserNamespace } = await import("../../lab/unprivileged.ts");
  return runInUserNamespace(process.argv.slice(1));
}

/** Runs a lab, or lists them. */
export async function lab(name: string | undefined, options: Options): Promise<number> {
  if (name === undefined) return list();
  const variant = options.sync && VARIANTS.find(({ of, option }) => of === name && option === "sync");
  if (options.sync && !variant && LABS.some((known) => known.name === name))
    throw new Error(`lab ${name} has no --sync`);
  const wanted = variant ? variant.lab : LABS.find((candidate) => candidate.name === name);
  if (wanted === undefined) {
    throw new Error(`there is no lab "${name}"; the labs are ${LABS.map((known) => known.name).join(", ")}`);
  }
  if (options.trace !== undefined && options.trace !== true && options.trace !== "all") {
    throw new Error(`--trace ${options.trace}: the depth is nothing or "all"`);
  }
  if (process.getuid!() !== 0) return withoutRoot(options.keep === true);
  const trace = options.trace === undefined ? undefined : options.trace === "all" ? "all" : "telling";
  return runLab(wanted, { prefix: options.prefix, keep: options.keep === true, trace }, print);
}

/** Removes all labs of a prefix. */
export async function down(prefix: string): Promise<number> {
  if (process.getuid!() !== 0) throw new Error("labs that stay belong to root; only root can remove them");
  const names = await downLabs(prefix);
  print(names.length === 0 ? "No lab is up." : `Removed ${names.length} namespaces: ${names.join(" ")}`);
  return 0;
}
