/**
 * The command `ipvsadm`: argument words in, exit status out.
 * @module
 */
import { TableError } from "../../../core/errors.ts";
import type { DataPlane } from "../../../planes/plane.ts";
import type { Names } from "../names.ts";
import { type Executable, execute } from "./execute.ts";
import { Failure } from "./failure.ts";
import type { Io } from "./io.ts";
import { commandOf, parse } from "./parse.ts";
import { cannotInitialize, refusal, VERSION } from "./texts.ts";

/** Opens the plane of this network namespace. */
export type OpenPlane = () => Promise<DataPlane>;

/** What a run differs in from one typed by a user. */
export interface RunOptions {
  /** `-R` clears the table first, within `--test` and `--atomic`. */
  readonly clearFirst?: boolean;
}

/**
 * Runs one command line.
 * @returns the exit status, 0..255.
 */
export async function run(
  words: readonly string[],
  io: Io,
  names: Names,
  openPlane: OpenPlane,
  options: RunOptions = {},
): Promise<number> {
  const first = commandOf(words);
  if (first === "help" || first === "version") {
    await tell(first, io);
    return 0;
  }
  let plane: DataPlane;
  try {
    plane = await openPlane();
  } catch (error) {
    const text = error instanceof TableError ? refusal(undefined, error.code) : (error as Error).message;
    io.stderr(`${cannotInitialize(text)}\n`);
    return 2;
  }
  const explain = words.includes("--explain");
  const report = async (failure: Failure, line?: number, note?: string): Promise<void> => {
    if (failure.message !== "") io.stderr(`${failure.message}\n`);
    if (!failure.reason || !(explain || io.stderrIsTerminal())) return;
    const { explanation } = await import("./explain.ts");
    const text = await explanation(failure.reason, plane);
    io.stderr(`  ${line === undefined ? "" : `line ${line}: `}${text}${note ? ` (${note})` : ""}\n`);
  };
  try {
    const command = await parse(words, names, io.program);
    if (command.kind !== "restore") {
      await execute(command as Executable, { plane, io, names });
      return 0;
    }
    const { rehearse, restore, restoreAtomically } = await import("./restore.ts");
    const way = command.test ? rehearse : command.atomic ? restoreAtomically : restore;
    const clear = options.clearFirst ?? false;
    return await way({ plane, io, names, report, tell: (kind) => tell(kind, io), clear });
  } catch (error) {
    if (!(error instanceof Failure)) {
      io.stderr(`${io.program}: ${(error as Error).message}\n`);
      return 255;
    }
    await report(error);
    return error.status;
  } finally {
    const trouble = plane.trouble?.();
    if (trouble !== undefined) io.stderr(`${io.program}: ${trouble}\n`);
    await plane.close();
  }
}

async function tell(kind: "help" | "version", io: Io): Promise<void> {
  if (kind === "version") io.stdout(`${VERSION}\n`);
  else io.stdout((await import("./help.ts")).helpText(io.program));
}
