/**
 * Servers for tests of health checks: in this process, on a port of their own, well or sick.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

/** A server that a test started. */
export interface CheckedServer {
  readonly port: number;
  /** Connections now open. */
  readonly open: number;
  /** Connections ever. */
  readonly accepted: number;
  close(): Promise<void>;
}

/** A TCP server, with TLS when its options are given. */
export async function tcpServer(
  serve: (socket: Socket) => void,
  options: { host?: string; port?: number; tls?: TlsOptions; allowHalfOpen?: boolean } = {},
): Promise<CheckedServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const onSocket = (socket: Socket): void => {
    socket.on("error", () => {});
    serve(socket);
    socket.resume(); // one that does not read would not see the end
  };
  const { tls, allowHalfOpen = false } = options;
  const server: Server = tls ? createTlsServer(tls, onSocket) : createServer({ allowHalfOpen }, onSocket);
  server.on("connection", (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A server that talks in lines: what `answer` gives for a line is sent; undefined ends the connection. */
export function lineServer(
  greeting: string,
  answer: (line: string, socket: Socket) => string | undefined,
  options: Parameters<typeof tcpServer>[1] = {},
): Promise<CheckedServer> {
  return tcpServer((socket) => {
    if (greeting !== "") socket.write(greeting);
    let buffer = "";
    socket.on("data", (data) => {
      buffer += data.toString("latin1");
      for (let at = buffer.indexOf("\n"); at >= 0; at = buffer.indexOf("\n")) {
        const line = buffer.slice(0, at).replace(/\r$/, "");
        buffer = buffer.slice(at + 1);
        const reply = answer(line, socket);
        if (reply === undefined) socket.end();
        else if (reply !== "") socket.write(reply, "latin1");
      }
    });
  }, options);
}

/** A UDP server; what `answer` gives is sent back. */
export async function udpServer(
  answer: (bytes: Buffer, from: RemoteInfo) => Uint8Array | undefined,
  host = "127.0.0.1",
): Promise<{ port: number; socket: UdpSocket; close(): Promise<void> }> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("message", (bytes, from) => {
    const reply = answer(bytes, from);
    if (reply) socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  return {
    port: socket.address().port,
    socket,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** A TCP port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await tcpServer(() => {});
  await server.close();
  return server.port;
}

/** What is wrong with a TCP server, and how it looks. */
export const SICK_SERVERS: Readonly<Record<string, (socket: Socket) => void>> = {
  silent: () => {},
  closing: (socket) => socket.end(),
  resetting: (socket) => socket.resetAndDestroy(),
  "full of garbage": (socket) => {
    socket.end(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167 + 13) & 255)));
  },
  "sending without end": (socket) => {
    const timer = setInterval(() => socket.write("x".repeat(1000)), 5);
    socket.on("close", () => clearInterval(timer));
  },
  "sending a byte now and then": (socket) => {
    const timer = setInterval(() => socket.write("2"), 40);
    socket.on("close", () => clearInterval(timer));
  },
};

/** A self-signed certificate for `name` and its key, made by openssl. */
export function certificate(name: string): { cert: Buffer; key: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-cert-"));
  try {
    const [key, cert] = [join(folder, "key"), join(folder, "cert")];
    const subject = ["-subj", `/CN=${name}`, "-days", "2", "-nodes"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", cert], {
      stdio: "pipe",
    });
    return { cert: readFileSync(cert), key: readFileSync(key) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
