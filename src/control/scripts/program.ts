/**
 * Runs one program to its end: without a shell, in a process group of its own, as another user when asked, within a time
 * limit. Notify scripts, misc checks, external checks and tracked scripts all go through here.
 *
 * A program sees the environment and the working directory of this process, and /dev/null as its standard streams
 * (keepalived-2.2.7 does the same).
 * @module
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { findAccount } from "./account.ts";

/** What is run, and how. */
export interface ProgramSpec {
  /** Program and arguments. A name without a slash is looked up in PATH. */
  readonly command: readonly string[];
  /** User by name or number. @default the user of this process */
  readonly user?: string;
  /** @default the group of the user */
  readonly group?: string;
  /** Time after which its process group gets TERM. @default no limit */
  readonly timeoutMs?: number;
  /** Time from TERM to KILL. @default 2000 */
  readonly killAfterMs?: number;
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Collects standard output and standard error, {@link OUTPUT_LIMIT} bytes at most. */
  readonly capture?: boolean;
  /** What it reads on standard input. @default nothing */
  readonly input?: string;
}

/** How a program ended. */
export interface ProgramResult {
  /** Exit status; null when a signal ended it or it could not be started. */
  readonly status: number | null;
  /** Signal that ended it. */
  readonly signal: NodeJS.Signals | null;
  /** It was ended because its time was up. */
  readonly timedOut: boolean;
  /** It was ended because the caller's signal fired. */
  readonly aborted: boolean;
  /** Why it could not be started, for people: `/x/y: no such file`. */
  readonly failure?: string;
  /** Standard output and error in the order they came, when captured. */
  readonly output: string;
  readonly latencyMs: number;
}

/** Bytes of output that are kept. */
export const OUTPUT_LIMIT = 65536;
/** Time that output may trickle in after the program itself has ended; grandchildren may hold its pipes. */
const DRAIN_MS = 200;

const REASON: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "not executable, or no permission",
  EPERM: "not permitted to change the user",
  ENOTDIR: "not a directory on the way to it",
  EMFILE: "too many open files",
  EAGAIN: "too many processes",
};

/** Ends every process of a group. A group that is gone is none. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // ESRCH: nobody left.
  }
}

/** Starts it; a script without `#!` is given to the shell, as execvp(3) does. */
function start(command: readonly string[], options: SpawnOptions): ChildProcess {
  const [program, ...args] = command;
  try {
    return spawn(program ?? "", args, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOEXEC") throw error;
    return spawn("/bin/sh", command, options);
  }
}

/** Runs a program. Never rejects: whatever goes wrong is in the result. */
export function runProgram(spec: ProgramSpec, signal?: AbortSignal): Promise<ProgramResult> {
  const startedAt = performance.now();
  const latencyMs = (): number => performance.now() - startedAt;
  const unstarted = (failure: string, aborted = false): ProgramResult => ({
    status: null,
    signal: null,
    timedOut: false,
    aborted,
    failure,
    output: "",
    latencyMs: latencyMs(),
  });
  const failed = (error: unknown): ProgramResult => {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === undefined ? message : (REASON[code] ?? code);
    return unstarted(`${spec.command[0] ?? "empty command"}: ${reason}`);
  };
  if (signal?.aborted) return Promise.resolve(unstarted("not started: stopping", true));

  let child: ChildProcess;
  try {
    const out = spec.capture ? "pipe" : "ignore";
    child = start(spec.command, {
      detached: true, // a session, so a process group, of its own
      stdio: [spec.input === undefined ? "ignore" : "pipe", out, out],
      ...findAccount(spec.user, spec.group),
      ...(spec.env && { env: { ...process.env, ...spec.env } }),
    });
  } catch (error) {
    return Promise.resolve(failed(error));
  }

  return new Promise((resolve) => {
    let timedOut = false;
    let aborted = false;
    let killTimer: NodeJS.Timeout | undefined;
    let drainTimer: NodeJS.Timeout | undefined;
    const end = (): void => {
      if (killTimer) return;
      killGroup(child, "SIGTERM");
      killTimer = setTimeout(() => killGroup(child, "SIGKILL"), spec.killAfterMs ?? 2000);
    };
    const limit =
      spec.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            end();
          }, spec.timeoutMs);
    const onAbort = (): void => {
      aborted = true;
      end();
    };
    signal?.addEventListener("abort", onAbort, { once: true });

    const chunks: Buffer[] = [];
    let kept = 0;
    const collect = (chunk: Buffer): void => {
      if (kept >= OUTPUT_LIMIT) return;
      chunks.push(chunk.subarray(0, OUTPUT_LIMIT - kept));
      kept += chunk.length;
    };
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    child.stdin?.on("error", () => {}); // it need not read its input
    child.stdin?.end(spec.input);

    const settle = (result: ProgramResult): void => {
      clearTimeout(limit);
      clearTimeout(killTimer);
      clearTimeout(drainTimer);
      signal?.removeEventListener("abort", onAbort);
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve(result);
    };
    child.once("error", (error) => {
      if (child.pid === undefined) settle(failed(error));
    });
    child.once("exit", (status, endedBy) => {
      clearTimeout(limit);
      // What it started and left behind goes with it, but only when it was told to go itself.
      if (killTimer) killGroup(child, "SIGKILL");
      const took = latencyMs();
      const finish = (): void =>
        settle({
          status,
          signal: endedBy,
          timedOut,
          aborted,
          output: Buffer.concat(chunks).toString("utf8"),
          latencyMs: took,
        });
      if (!spec.capture) return finish();
      child.once("close", finish);
      drainTimer = setTimeout(finish, DRAIN_MS);
    });
  });
}
