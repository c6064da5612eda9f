/**
 * `lvsd engine`: the process of the engine plane in this network namespace.
 * @module
 */
import { isIP } from "node:net";
import { EngineClient } from "../../../planes/engine/client.ts";
import type { EngineStatus } from "../../../planes/engine/protocol.ts";
import { duration } from "./duration.ts";
import { describeSync } from "./sync-words.ts";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Opens a connection for one use. @throws TableError EPERM for who is not root */
async function withEngine<T>(use: (engine: EngineClient) => Promise<T>): Promise<T> {
  const engine = new EngineClient({});
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** The lines that show a status. */
export function describe(engine: EngineStatus): string[] {
  return [
    `runs for ${duration(engine.uptimeMs)}, process ${engine.pid}`,
    `${engine.services} services, ${engine.connections} connections`,
    `queue ${engine.queue} by nftables ${engine.packetsBy === "queue" ? '"queue"' : "NFQUEUE target"}`,
    `packets seen ${engine.packets}: ${engine.accepted} accepted, ${engine.modified} of them changed, ${engine.dropped} dropped or sent on`,
    `packets sent ${engine.sent}, refused by the kernel ${engine.failed}`,
    ...describeSync(engine.sync).map((line) => `connection sync: ${line}`),
    ...engine.announced.map(({ address, interface: device }) => `announces ${address} on ${device}`),
  ];
}

/** Exit status 0 when an engine runs, 3 when not, as of init scripts. */
export async function status(): Promise<number> {
  const engine = await withEngine((client) => client.status());
  if (engine === undefined) {
    print("no engine runs in this network namespace; the first rule starts one");
    return 3;
  }
  for (const line of describe(engine)) print(line);
  return 0;
}

/** Ends it. That none runs is no failure. */
export async function stop(): Promise<number> {
  const stopped = await withEngine((client) => client.stop());
  print(stopped ? "stopped; its rules and connections are gone" : "no engine runs in this network namespace");
  return 0;
}

/** Answers for a VIP that is on no interface. */
export async function announce(vip: string, device: string, options: { undo?: true }): Promise<number> {
  if (isIP(vip) === 0) throw new Error(`"${vip}" is no IP address`);
  await withEngine((client) => (options.undo ? client.withdraw(vip) : client.announce(vip, device)));
  print(options.undo ? `${vip} is announced no more` : `${vip} is announced on ${device}`);
  return 0;
}
