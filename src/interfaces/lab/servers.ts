/**
 * The real servers' applications: HTTP, HTTPS and UDP answers that tell who answered whom. Started as a process of its own
 * on a lab's host, `lvsd lab-server JSON`.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { commandsDir, execute, type Network } from "./network.ts";

/** What one server process listens on. */
export interface ServerOptions {
  readonly name: string;
  /** The address that answers name. */
  readonly address: string;
  readonly http?: number;
  readonly https?: number;
  readonly udp?: number;
  /** Words behind the answer. */
  readonly says?: string;
  /** Certificate and key in PEM, for https. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Without the prefix that an IPv4 client has on a socket of both families. */
const plain = (address: string | undefined): string => (address ?? "?").replace(/^::ffff:/, "");

/** Length of /download. */
export const DOWNLOAD_BYTES = 20_000_000;

/** A piece of it, and the time between two, ms: a megabyte a second. */
const [PIECE, PIECE_MS] = [50_000, 50];

/** Sends a download. A client that reads nothing is waited for. */
function slowly(response: ServerResponse): void {
  let left = DOWNLOAD_BYTES;
  response.setHeader("Content-Length", left);
  const timer = setInterval(() => {
    if (response.writableNeedDrain) return;
    response.write(Buffer.alloc(PIECE, "."));
    left -= PIECE;
    if (left > 0) return;
    clearInterval(timer);
    response.end();
  }, PIECE_MS);
  response.on("close", () => clearInterval(timer));
}

/** The text of an answer, such as `rs1 10.0.0.1 answers 192.168.1.10`. */
export const answerText = (options: ServerOptions, client: string | undefined): string =>
  `${options.name} ${options.address} answers ${plain(client)}${options.says ? `: ${options.says}` : ""}`;

/**
 * Listens on everything and resolves then. Connections are kept open for the client to close, so that the director, which in
 * DR and TUN sees the client's packets only, sees them end. Runs until the process ends.
 */
export async function serve(options: ServerOptions): Promise<void> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    response.setHeader("Content-Type", "text/plain");
    if (request.url === "/download") {
      slowly(response);
      return;
    }
    response.end(`${answerText(options, request.socket.remoteAddress)}\n`);
  };
  if (options.http !== undefined) {
    const { createServer } = await import("node:http");
    await once(createServer(answer).listen(options.http), "listening");
  }
  if (options.https !== undefined) {
    const { createServer } = await import("node:https");
    await once(createServer(options.tls ?? {}, answer).listen(options.https), "listening");
  }
  if (options.udp !== undefined) {
    const { createSocket } = await import("node:dgram");
    const socket = createSocket({ type: "udp6", ipv6Only: false });
    socket.on("message", (_, from) =>
      socket.send(answerText(options, from.address), from.port, from.address),
    );
    socket.bind(options.udp);
    await once(socket, "listening");
  }
}

/** A self-signed certificate for a name, as a tutorial makes it. */
async function certificate(name: string): Promise<{ cert: string; key: string }> {
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout - -out -";
  const made = await execute("openssl", [...request.split(" "), "-subj", `/CN=${name}`]);
  if (made.status !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr.trim()}`);
  const block = (kind: string) =>
    new RegExp(`-----BEGIN ${kind}-----[^]*?-----END ${kind}-----`).exec(made.stdout);
  return { cert: block("CERTIFICATE")![0], key: block("PRIVATE KEY")![0] };
}

/** Resolves when the child said that it listens; rejects when it ended instead. */
function listening(child: ChildProcess, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let errors = "";
    child.stderr!.on("data", (chunk) => {
      errors += chunk;
    });
    child.stdout!.once("data", () => {
      // From here on nothing ties us to it: it outlives us when the lab is kept.
      child.stdout!.destroy();
      child.stderr!.destroy();
      child.unref();
      resolve();
    });
    child.once("exit", () => reject(new Error(`the server on ${host} ended: ${errors.trim()}`)));
    child.once("error", reject);
  });
}

/** Processes of servers, by the name of their namespace. */
const running = new Map<string, ChildProcess>();

/** Starts what a host serves; resolves when it listens. A host that serves nothing is fine. */
export async function startServer(network: Network, name: string): Promise<void> {
  const host = network.lab.hosts.find((each) => each.name === name);
  if (host?.serves === undefined) return;
  const tls = host.serves.https === undefined ? {} : { tls: await certificate(host.name) };
  const options: ServerOptions = { name: host.name, ...host.serves, ...tls };
  const argv = [process.execPath, `${commandsDir()}/lvsd.cjs`, "lab-server", JSON.stringify(options)];
  const child = network.spawn(host.name, argv, { stdio: ["ignore", "pipe", "pipe"] });
  running.set(network.namespace(name), child);
  await listening(child, host.name);
}

/** Ends what a host serves. */
export async function stopServer(network: Network, name: string): Promise<void> {
  const child = running.get(network.namespace(name));
  running.delete(network.namespace(name));
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Starts the servers of every host that serves something, and resolves when all listen. */
export async function startServers(network: Network): Promise<void> {
  await Promise.all(network.lab.hosts.map((host) => startServer(network, host.name)));
}
