/**
 * Going into the background: the command starts itself again as a session of its own and waits until that one is ready.
 * @module
 */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import type { Readable } from "node:stream";

/** Marks the process in the background, which has descriptor {@link READY_FD}. */
const MARK = "LVSD_DETACHED";
const READY_FD = 3;

/** Whether this process is the one in the background. */
export const isDetached = (): boolean => process.env[MARK] !== undefined;

/** What the process in the background said. */
export interface Outcome {
  /** 0: it runs. */
  readonly status: number;
  readonly message: string;
}

/** Starts this command again with the same words, in the background; resolves when it is ready or has failed. */
export function detach(words: readonly string[] = process.argv.slice(1)): Promise<Outcome> {
  const child = spawn(process.execPath, [...process.execArgv, ...words], {
    detached: true,
    env: { ...process.env, [MARK]: "1", NODE_EXTRA_CA_CERTS: "" },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  return new Promise((resolve) => {
    const pipe = child.stdio[READY_FD] as Readable;
    let said = "";
    const settle = (): void => {
      pipe.destroy();
      child.unref();
      try {
        resolve(JSON.parse(said) as Outcome);
      } catch {
        resolve({ status: 1, message: "it ended before it was ready" });
      }
    };
    pipe.setEncoding("utf8");
    pipe.on("data", (text: string) => {
      said += text;
      if (said.includes("\n")) settle();
    });
    pipe.on("end", settle);
    child.on("error", (error) => resolve({ status: 1, message: error.message }));
  });
}

/** In the background: tells the command that waits. Elsewhere nothing. */
export function tellOutcome(status: number, message: string): void {
  if (!isDetached()) return;
  delete process.env[MARK];
  try {
    writeSync(READY_FD, `${JSON.stringify({ status, message })}\n`);
  } catch {
    // Nobody waits any more.
  }
}
