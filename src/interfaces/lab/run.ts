/**
 * The life of a lab: build, serve, tell, and remove whatever happens, also when interrupted.
 * @module
 */

import type { Lab } from "./lab.ts";
import { EVERY_LAB } from "./labs/index.ts";
import { Network, namespacesOf, removeNamespaces } from "./network.ts";
import { startServers } from "./servers.ts";
import { introduce, type Print, type TraceDepth, tell, tellTrace } from "./tell.ts";

export interface LabOptions {
  /** First part of the namespaces' names, so that several runs can live beside each other. */
  readonly prefix: string;
  /** Leave everything up at the end. */
  readonly keep: boolean;
  readonly trace: TraceDepth | undefined;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Numbers of those signals, for the exit status 128 + n that a shell expects. */
const SIGNAL_NUMBER = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Stops what planes have beside their namespaces in an orderly way, before the hosts go away: an engine, pinned programs. */
async function retire(network: Network): Promise<void> {
  const directors = network.lab.hosts.filter((host) => host.name.startsWith("director"));
  const command = "timeout -s KILL 3 lvsd engine stop; lvsd planes reset";
  await Promise.all(directors.map((host) => network.tidy(host.name, command)));
}

/** How to go on in a lab that stays. */
function explainKept(network: Network, print: Print): void {
  print("");
  print("The lab stays up. Enter its hosts and try for yourself:");
  for (const host of network.lab.hosts) print(`  ip netns exec ${network.namespace(host.name)} bash`);
  print("The commands are in dist/bin. Remove everything with: lvsd lab down");
}

/**
 * Runs a lab from beginning to end.
 * @returns exit status: 0, or 1 when a request stayed without an answer.
 */
export async function runLab(lab: Lab, options: LabOptions, print: Print): Promise<number> {
  const network = new Network(lab, options.prefix);
  if (network.exists()) {
    throw new Error(`lab ${lab.name} is up already, or was left by a crash; "lvsd lab down" removes it`);
  }
  let removed: Promise<unknown> | undefined;
  let cut = false;
  const remove = () => {
    // A command that was ended in the middle may have come after the planes were reset.
    const again = cut ? () => retire(network) : undefined;
    removed ??= network
      .stop()
      .then(() => retire(network))
      .then(() => network.remove(again));
    return removed;
  };
  const interrupted = (signal: (typeof SIGNALS)[number]) => {
    if (!cut) print("\nInterrupted; removing the lab.");
    cut = true;
    void remove().finally(() => process.exit(128 + SIGNAL_NUMBER[signal]));
  };
  for (const signal of SIGNALS) process.on(signal, interrupted);

  /** What an interrupted story would still say goes unsaid. */
  const say: Print = (line) => {
    if (!cut) print(line);
  };

  introduce(lab, print);
  try {
    await network.build();
    await startServers(network);
    let unanswered = await tell(network, lab.steps, say);
    if (options.trace !== undefined) unanswered += await tellTrace(network, options.trace, say);
    if (options.keep) explainKept(network, print);
    else {
      await remove();
      print("");
      print(
        "Everything is removed. Options: --trace shows the packets at every interface, --keep leaves the lab up.",
      );
    }
    return unanswered > 0 ? 1 : 0;
  } catch (error) {
    const byUser = removed !== undefined;
    await remove();
    if (byUser) await new Promise(() => {}); // the handler ends the process; what failed meanwhile failed by it
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted);
  }
}

/**
 * Removes every lab of that prefix, also what a crash left.
 * @returns the names of the namespaces that were removed.
 */
export async function downLabs(prefix: string): Promise<string[]> {
  const names = EVERY_LAB.flatMap((lab) => namespacesOf(`${prefix}-${lab.name}`));
  await Promise.all(
    EVERY_LAB.map(async (lab) => {
      const network = new Network(lab, prefix);
      if (network.exists()) await retire(network);
    }),
  );
  await removeNamespaces(names);
  for (const lab of EVERY_LAB) new Network(lab, prefix).removeFolder();
  return names;
}
