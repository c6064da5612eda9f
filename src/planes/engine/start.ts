/**
 * Starting the engine process from a command, and waiting until it is ready.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { TableError, type TableErrorCode } from "../../core/errors.ts";
import type { EnginePaths } from "./paths.ts";

/** Codes that say what the matter is; all others are EIO. */
const CODES: readonly TableErrorCode[] = ["EPERM", "EOPNOTSUPP", "ENOMEM"];

/** The engine's bundle lies beside the command's own; `LVSD_ENGINE` names it when running from source. */
function bundle(): string {
  const path =
    process.env["LVSD_ENGINE"] || join(dirname(realpathSync(process.argv[1] ?? ".")), "lvsd-engine.cjs");
  if (!existsSync(path)) throw new TableError("EIO", `${path} is not there: npm run build makes it`);
  return path;
}

/**
 * Starts an engine in this process's network namespace; when another command does the same at this moment one of the two
 * engines stays.
 * @throws TableError with what the engine said
 */
export function startEngine(paths: EnginePaths): Promise<void> {
  const env: NodeJS.ProcessEnv = { ...process.env, LVSD_RUN_DIR: paths.directory, NODE_EXTRA_CA_CERTS: "" };
  delete env["NODE_OPTIONS"];
  const child = spawn(process.execPath, [bundle()], {
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
      else reject(refusal(line));
    };
    pipe.setEncoding("utf8");
    pipe.on("data", (text: string) => {
      said += text;
      if (said.includes("\n")) settle();
    });
    pipe.on("end", settle);
    child.on("error", (error) => reject(new TableError("EIO", `start the engine: ${error.message}`)));
  });
}

function refusal(line: string): TableError {
  try {
    const { code, message } = JSON.parse(line) as { code?: string; message?: string };
    return new TableError(CODES.find((c) => c === code) ?? "EIO", `the engine did not start: ${message}`);
  } catch {
    return new TableError("EIO", "the engine did not start");
  }
}
