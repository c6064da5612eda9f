/**
 * `lvsd reload` and `lvsd stop`.
 * @module
 */
import { ask } from "../../daemon/control-client.ts";
import type { ReloadAnswer } from "../../daemon/protocol.ts";
import { complain, print, type SocketOption, socketOf } from "./daemon-socket.ts";
import { tellDiagnostics } from "./plan.ts";

/** Has the daemon read its file again, and prints what came of it. Exit status 1: nothing was changed. */
export async function reload(options: SocketOption): Promise<number> {
  const answer = await ask<ReloadAnswer>(socketOf(options), "reload");
  tellDiagnostics(answer.diagnostics);
  for (const text of answer.refused) complain(`refused: ${text}`);
  if (answer.ok) print(answer.text);
  else complain(answer.text);
  return answer.ok && answer.refused.length === 0 ? 0 : 1;
}

/** Ends the daemon. */
export async function stop(options: SocketOption): Promise<number> {
  await ask(socketOf(options), "stop");
  print("the daemon stops");
  return 0;
}
