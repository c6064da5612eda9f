/**
 * The sync process as commands see it: started when it is needed and not there, told that the rules changed, asked what it did.
 * @module
 */
import { TableError } from "../../../core/errors.ts";
import { startProcess } from "../../start-process.ts";
import { image } from "../image.ts";
import type { SyncPaths } from "./paths.ts";
import type { Answer, ProcessStatus, Request } from "./protocol.ts";

/** A process that is there answers at once; ms. */
const ANSWER_MS = 10_000;
const ATTEMPTS = 3;

/** Asks; undefined when no process is there. @throws TableError with what it answered */
async function ask(paths: SyncPaths, request: Request): Promise<ProcessStatus | undefined> {
  const { connect } = await import("node:net");
  const line = await new Promise<string | undefined>((resolve, reject) => {
    const socket = connect(paths.socket);
    let said = "";
    socket.setEncoding("utf8");
    socket.setTimeout(ANSWER_MS, () => {
      socket.destroy();
      reject(new TableError("EIO", "the sync process does not answer"));
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

/** What the process tells; undefined when there is none. */
export const syncProcessStatus = (paths: SyncPaths): Promise<ProcessStatus | undefined> =>
  ask(paths, "status");

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

/** Has a process of this lvsd run; one that is there goes on as it does. @throws TableError */
export async function keepSync(paths: SyncPaths): Promise<void> {
  if ((await ask(paths, "status"))?.image !== image().hash) await applySync(paths);
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
