/**
 * `lvsd lab`: the tutorials as living networks.
 * @module
 */
import { LABS } from "../../lab/labs/index.ts";
import { downLabs, runLab } from "../../lab/run.ts";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What commander hands over. */
interface Options {
  readonly prefix: string;
  readonly keep?: true;
  readonly trace?: true | string;
}

function list(): number {
  const width = Math.max(...LABS.map((lab) => lab.name.length));
  for (const lab of LABS) print(`${lab.name.padEnd(width)}  ${lab.title}`);
  print("");
  print("lvsd lab NAME runs one, with --trace its packets are shown at every interface, with --keep it stays up.");
  return 0;
}

/** Without root there are no network namespaces; says so, and what can be read all the same. */
function needRoot(): void {
  if (process.getuid!() === 0) return;
  throw new Error(
    "labs make network namespaces, which needs root (or a user namespace: unshare -Urnm --map-root-user); " +
      '"lvsd lab" lists the labs, docs/ shows what each prints',
  );
}

/** Runs a lab, or lists them. */
export async function lab(name: string | undefined, options: Options): Promise<number> {
  if (name === undefined) return list();
  const wanted = LABS.find((candidate) => candidate.name === name);
  if (wanted === undefined) {
    throw new Error(`there is no lab "${name}"; the labs are ${LABS.map((known) => known.name).join(", ")}`);
  }
  if (options.trace !== undefined && options.trace !== true && options.trace !== "all") {
    throw new Error(`--trace ${options.trace}: the depth is nothing or "all"`);
  }
  needRoot();
  const trace = options.trace === undefined ? undefined : options.trace === "all" ? "all" : "telling";
  return runLab(wanted, { prefix: options.prefix, keep: options.keep === true, trace }, print);
}

/** Removes all labs of a prefix. */
export async function down(prefix: string): Promise<number> {
  needRoot();
  const names = await downLabs(prefix);
  print(names.length === 0 ? "No lab is up." : `Removed ${names.length} namespaces: ${names.join(" ")}`);
  return 0;
}
