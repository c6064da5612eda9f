/**
 * Starting a plane's process from a command, and waiting until it is ready.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { TableError, type TableErrorCode } from "../core/errors.ts";

/** Codes that say what the matter is; all others are EIO. */
const CODES: readonly TableErrorCode[] = ["EPERM", "EOPNOTSUPP", "ENOMEM"];
/** The descriptor on which whoever starts a process waits for a line: "ready", or what is wrong as JSON. */
export const READY_FD = 3;

/** What to start. */
export interface ProcessSpec {
  /** For messages: "the engine". */
  readonly name: string;
  /** File name of the bundle, which lies beside the command's own. */
  readonly bundle: string;
  /** Environment variable that names it when running from source. */
  readonly variable: string;
  /** The folder of state, as `LVSD_RUN_DIR`. */
  readonly directory: string;
}

function pathOf({ bundle, variable }: ProcessSpec): string {
  const path = process.env[variable] || join(dirname(realpathSync(process.argv[1] ?? ".")), bundle);
  if (!existsSync(path)) throw new TableError("EIO", `${path} is not there: npm run build makes it`);
  return path;
}

/**
 * Starts a process in this process's network namespace; it outlives the command.
 * @throws TableError with what the process said
 */
export function startProcess(spec: ProcessSpec): Promise<void> {
  const env: NodeJS.ProcessEnv = { ...process.env, LVSD_RUN_DIR: spec.directory, NODE_EXTRA_CA_CERTS: "" };
  delete env["NODE_OPTIONS"];
  const child = spawn(process.execPath, [pathOf(spec)], {
    detached: true,
    cwd: "/",
    env,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  return new Promise((resolve, reject) => {
    const pipe = child.stdio[3] as Readable;
    let said = "";
    const settle = (): void => {
      pipe.destroy();
      child.unref();
      const line = said.trim();
      if (line === "ready") resolve();
      else reject(refusal(spec, line));
    };
    pipe.setEncoding("utf8");
    pipe.on("data", (text: string) => {
      said += text;
      if (said.includes("\n")) settle();
    });
    pipe.on("end", settle);
    child.on("error", (error) => reject(new TableError("EIO", `start ${spec.name}: ${error.message}`)));
  });
}

function refusal({ name }: ProcessSpec, line: string): TableError {
  try {
    const { code, message } = JSON.parse(line) as { code?: string; message?: string };
    return new TableError(CODES.find((c) => c === code) ?? "EIO", `${name} did not start: ${message}`);
  } catch {
    return new TableError("EIO", `${name} did not start`);
  }
}
