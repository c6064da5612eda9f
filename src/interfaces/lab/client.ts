/**
 * The clients of a lab: curl for HTTP and HTTPS, a small program of ours for UDP (`lvsd lab-ask`).
 * @module
 */
import { once } from "node:events";
import type { Ask } from "./lab.ts";
import type { Network } from "./network.ts";

/** Seconds until a client gives up. */
const PATIENCE_S = 5;

/** What came of one request. */
export interface Answer {
  /** The server's words, or why there are none. */
  readonly text: string;
  /** The server that answered, "" when none did. */
  readonly server: string;
}

/** The command that makes a request, as a person would type it. */
export function commandOf(ask: Ask): string {
  if (ask.kind === "udp") {
    const from = ask.sourcePort === undefined ? "" : ` --from-port ${ask.sourcePort}`;
    return `lvsd lab-ask ${ask.address} ${ask.port}${from}`;
  }
  const options = ask.url.startsWith("https:") ? "-sk" : "-s";
  return `curl ${options} ${ask.url.includes("[") ? `-g '${ask.url}'` : ask.url}`;
}

/** Makes one request on a host. */
export async function request(network: Network, host: string, ask: Ask): Promise<Answer> {
  const patient =
    ask.kind === "http" ? commandOf(ask).replace("curl -s", `curl -m ${PATIENCE_S} -S -s`) : commandOf(ask);
  const { status, stdout, stderr } = await network.shell(host, patient);
  const text = stdout.trim();
  if (status !== 0 || text === "")
    return { text: `no answer: ${stderr.trim() || `status ${status}`}`, server: "" };
  return { text, server: text.split(" ")[0]! };
}

/**
 * Sends one datagram and waits for the answer.
 * @returns the answer's text; rejects when none came in time.
 */
export async function askUdp(address: string, port: number, fromPort: number): Promise<string> {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  try {
    socket.bind(fromPort);
    await once(socket, "listening");
    socket.send("who answers?", port, address);
    const [message] = await once(socket, "message", { signal: AbortSignal.timeout(PATIENCE_S * 1000) });
    return String(message);
  } catch (cause) {
    const late = (cause as Error).name === "AbortError";
    throw late ? new Error(`no answer from ${address} port ${port} within ${PATIENCE_S} s`) : cause;
  } finally {
    socket.close();
  }
}

/** Counts who answered: `rs1 2, rs2 2`, by name. */
export function tally(answers: readonly Answer[]): string {
  const counts = new Map<string, number>();
  for (const { server } of answers) {
    const who = server || "nobody";
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([who, count]) => `${who} ${count}`)
    .join(", ");
}
