/**
 * What the tests of the daemon need around the network: servers that can fall ill, a client that keeps a connection open, a mail
 * server, scripts that leave a trace, and the daemon itself.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineNetwork, type HostName } from "./engine-network.ts";
import { type PlaneName, slowness } from "./planes.ts";

/** Answers with its name; /healthz as the file says, 200 without one. */
const SERVER = `
const [name, port, mood] = process.argv.slice(1);
const fs = require("node:fs");
const server = require("node:http").createServer((request, response) => {
  if (request.url === "/healthz" && fs.existsSync(mood)) response.statusCode = 503;
  response.end(name);
});
server.keepAliveTimeout = 600000;
server.listen(Number(port), "::", () => console.log("ready"));
`;

/** Keeps one connection busy: a request after every answer. Prints the server's name once, "broken" when it ends. */
const CALLER = `
const [address, port] = process.argv.slice(1);
const socket = require("node:net").connect(Number(port), address);
const ask = () => socket.write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
let told = false, count = 0;
socket.setEncoding("utf8").on("connect", ask).on("data", (text) => {
  if (!told) console.log("server " + text.slice(text.indexOf("\\r\\n\\r\\n") + 4).trim());
  told = true;
  if (++count % 10 === 0) console.log("answers " + count);
  setTimeout(ask, 50);
});
for (const event of ["error", "close"]) socket.on(event, () => { console.log("broken"); process.exit(1); });
setInterval(() => {}, 1000);
`;

/** A mail server that takes everything and writes what it hears to a file. */
const MAIL = `
const [port, file] = process.argv.slice(1);
require("node:net").createServer((socket) => {
  let data = false;
  socket.write("220 test\\r\\n");
  socket.on("error", () => {});
  socket.setEncoding("utf8").on("data", (text) => {
    for (const line of text.split("\\r\\n")) {
      if (line === "") continue;
      require("node:fs").appendFileSync(file, line + "\\n");
      if (data && line !== ".") continue;
      data = line === "DATA";
      socket.write(data ? "354 go on\\r\\n" : line === "QUIT" ? "221 bye\\r\\n" : "250 fine\\r\\n");
    }
  });
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
`;

const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", NODE_OPTIONS: "" };

/** Waits for a condition, and shows what it last saw when it never comes. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  good: (seen: T) => boolean,
): Promise<T> {
  const giveUpAt = Date.now() + 30_000 * slowness;
  let last: T | undefined;
  for (;;) {
    try {
      last = await look();
      if (good(last)) return last;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
    if (Date.now() > giveUpAt) throw new Error(`${what}: ${JSON.stringify(last, null, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A process in a namespace whose output is kept. */
export class Running {
  readonly child: ChildProcess;
  /** Both together, in the order they came; and apart. */
  output = "";
  out = "";
  err = "";
  readonly exited: Promise<number | null>;
  #ended = false;

  constructor(child: ChildProcess) {
    this.child = child;
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        if (name === "stdout") this.out += text;
        else this.err += text;
      });
    this.exited = new Promise((resolve) => {
      child.once("exit", () => {
        this.#ended = true;
      });
      child.once("close", (code) => resolve(code));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Waits until it has said something. */
  says(text: string): Promise<string> {
    return until(
      `says "${text}"`,
      () => this.output,
      (output) => output.includes(text),
    );
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    if (!this.#ended) this.child.kill(signal);
    return this.exited;
  }
}

/** The network and what stands on it. */
export class DaemonBed {
  readonly net: EngineNetwork;
  readonly folder = mkdtempSync(join(tmpdir(), "lvsd-daemon-"));
  readonly #running: Running[] = [];

  constructor(tag: string, plane: PlaneName = "engine") {
    this.net = new EngineNetwork(tag, plane);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** What a file holds, "" when it is not there. */
  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : "";
  }

  /** A script that adds a line, its name and arguments, to the file `trace`. */
  script(name: string, body = ""): string {
    const path = this.write(name, `#!/bin/sh\n${body}\necho "${name} $*" >>${this.path("trace")}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  /** Starts a process in a host. */
  spawn(host: HostName, command: readonly string[], more: NodeJS.ProcessEnv = {}): Running {
    const child = spawn("ip", ["netns", "exec", this.net.name(host), ...command], {
      env: {
        ...env,
        LVSD_RUN_DIR: this.net.runDirectory,
        LVSD_PLANE: this.net.plane,
        PATH: `${join(process.cwd(), "dist/bin")}:${process.env["PATH"]}`,
        TMPDIR: this.folder,
        ...more,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const running = new Running(child);
    this.#running.push(running);
    return running;
  }

  async #node(host: HostName, script: string, ...args: string[]): Promise<Running> {
    const running = this.spawn(host, [process.execPath, "-e", script, ...args]);
    await running.says("ready");
    return running;
  }

  /** A web server; `ill()` makes its health page say 503. */
  serve(host: HostName, port: number): Promise<Running> {
    return this.#node(host, SERVER, host, String(port), this.path(`ill-${host}`));
  }

  ill(host: HostName, ill: boolean): void {
    if (ill) appendFileSync(this.path(`ill-${host}`), "");
    else rmSync(this.path(`ill-${host}`), { force: true });
  }

  mailServer(port: number): Promise<Running> {
    return this.#node("director", MAIL, String(port), this.path("mail"));
  }

  /** A client that keeps one connection busy; which server it got. */
  async call(address: string, port: number): Promise<Running & { server: string }> {
    const caller = this.spawn("client", [process.execPath, "-e", CALLER, address, String(port)]);
    const said = await caller.says("server ");
    return Object.assign(caller, { server: /server (\w+)/.exec(said)![1]! });
  }

  /** Waits until a caller has got ten more answers. */
  async stillServed(caller: Running): Promise<void> {
    const count = (): number => caller.output.split("answers").length;
    const before = count();
    await until("the open connection goes on", count, (now) => now > before);
    assert(!caller.output.includes("broken"), "the open connection is broken");
  }

  /** A command on the director: its standard output; rejects with what it said when it fails. */
  command(...words: string[]): Promise<string> {
    return this.net.run("director", ...words);
  }

  /** A command that is meant to end with a status: status, output and complaints. */
  async status(...words: string[]): Promise<{ status: number | null; out: string; err: string }> {
    const running = this.spawn("director", words);
    const status = await running.exited;
    return { status, out: running.out, err: running.err };
  }

  async up(): Promise<this> {
    chmodSync(this.folder, 0o755);
    await this.net.up();
    return this;
  }

  async down(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.kill()));
    await this.net.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
