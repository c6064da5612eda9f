/**
 * The sync process as commands see it: started when it is needed and not there, told that the rules changed, asked what it did.
 * @module
 */
import { TableError } from "../../../core/errors.ts";
import { soleProcess } from "../../sole-process.ts";
import { startProcess } from "../../start-process.ts";
import { image } from "../image.ts";
import type { SyncPaths } from "./paths.ts";
import type { Answer, ProcessStatus, Request } from "./protocol.ts";

/** How long an answer is waited for, ms: by who only passes by, by who wants to know, by who wants something done. */
const PATIENCE_MS = { passing: 400, status: 2000, apply: 5000 } as const;
const ATTEMPTS = 3;

/** It is there, as its socket is, but stopped or busy. */
function noAnswer(paths: SyncPaths): TableError {
  const pid = soleProcess(paths);
  const remedy =
    pid === undefined
      ? ""
      : ` (kill -CONT ${pid} if it is stopped; after kill -KILL ${pid} the next command starts another)`;
  const who = pid === undefined ? "the sync process" : `the sync process, ${pid},`;
  return new TableError("EIO", `${who} does not answer: connections are not synchronised${remedy}`);
}

/** Asks; undefined when no process is there. @throws TableError with what it answered, or that it does not */
async function ask(
  paths: SyncPaths,
  request: Request,
  patienceMs: number = PATIENCE_MS.apply,
): Promise<ProcessStatus | undefined> {
  const { connect } = await import("node:net");
  const line = await new Promise<string | undefined>((resolve, reject) => {
    const socket = connect(paths.socket);
    let said = "";
    socket.setEncoding("utf8");
    socket.setTimeout(patienceMs, () => {
      socket.destroy();
      reject(noAnswer(paths));
    });
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (text: string) => {
      said += text;
      if (said.includes("\n")) {
        socket.destroy();
        resolve(said);
      }
    });
    // It is not there, or it ended before it answered.
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
  });
  if (line === undefined) return undefined;
  const answer = JSON.parse(line) as Answer;
  if ("error" in answer) throw new TableError(answer.error.code, answer.error.message);
  return answer.value;
}

/** What the process tells; undefined when there is none. @throws TableError when it does not answer */
export const syncProcessStatus = (paths: SyncPaths): Promise<ProcessStatus | undefined> =>
  ask(paths, "status", PATIENCE_MS.status);

/**
 * Has the daemons run that the rules name: starts the process if it is not there, and one of this lvsd in the place of another's.
 * @throws TableError when one of them cannot run
 */
export async function applySync(paths: SyncPaths): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const found = await ask(paths, "status");
    if (found?.image === image().hash) {
      if (await ask(paths, "apply")) return;
      continue;
    }
    if (found) await ask(paths, "end");
    await startProcess({
      name: "the sync process",
      bundle: "lvsd-sync.cjs",
      variable: "LVSD_SYNC",
      directory: paths.directory,
    });
  }
  if (!(await ask(paths, "apply")))
    throw new TableError("EIO", `the sync process does not stay up; ${paths.log} says why`);
}

/**
 * Has a process of this lvsd run; one that is there goes on as it does. Who only passes by does not wait long: what takes longer goes
 * on without it. False: none was there.
 * @throws TableError when it cannot be started, or does not answer
 */
export async function keepSync(paths: SyncPaths): Promise<boolean> {
  const found = await ask(paths, "status", PATIENCE_MS.passing);
  if (found?.image === image().hash) return true;
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS.passing);
  });
  try {
    await Promise.race([applySync(paths), enough]);
  } finally {
    clearTimeout(timer);
  }
  return found !== undefined;
}

/** Has a master ask the next backup for connections that it may lack. */
export async function expectTable(paths: SyncPaths): Promise<void> {
  await ask(paths, "expect");
}

/**
 * Tells a process that is there that the rules changed: it ends when it has nothing to do any more.
 * @param last no daemon is to run: one that was killed leaves no files either
 */
export async function tellSync(paths: SyncPaths, last: boolean): Promise<void> {
  const there = await ask(paths, "apply").catch(() => "unwell");
  if (there || !last) return;
  const { removeRemains } = await import("../../sole-process.ts");
  removeRemains(paths, [paths.log]);
}
