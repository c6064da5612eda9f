/**
 * Connection sync: how many connections a core encodes, and decodes and puts into a table; what one takes on the wire; and how far a backup
 * in a process of its own is behind a master that gets 10,000 new connections a second.
 *
 *     npm run bench:sync
 */
import { type ChildProcess, fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { FLAG } from "../src/core/connections.ts";
import { Director } from "../src/core/director.ts";
import { serviceSpec } from "../src/core/table.ts";
import { RecordingHost } from "../src/testkit/recording-host.ts";
import { toWords } from "../src/wire/address.ts";
import { benchEbpfSync, followEbpf } from "./parts/sync-ebpf.ts";

const CONNECTIONS = 100_000;
const ROUNDS = 5;
const RATE = 10_000;
const SECONDS = 6;
const PORT_TO_ADDRESS = 60_000;

const print = (name: string, value: number, unit: string, note = ""): void =>
  console.log(JSON.stringify({ name, value, unit, ...(note && { note }) }));
/** Milliseconds since 1970, finer than `Date.now()`: the same for both processes. */
const wallClock = (): number => performance.timeOrigin + performance.now();
const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1];

type Kind = "IPv4" | "IPv6";
const VIP = { IPv4: "10.9.0.1", IPv6: "2001:db8:9::1" } as const;
const SERVER = { IPv4: "10.2.0.1", IPv6: "2001:db8:2::1" } as const;

function director(kind: Kind, version: 0 | 1): Director {
  const host = new RecordingHost([VIP[kind]]);
  host.quiet = true;
  const d = new Director({ host, random: Math.random, now: 0, capacity: 1 << 18 });
  const family = kind === "IPv4" ? 4 : 6;
  const id = { kind: "address", family, protocol: "tcp", address: VIP[kind], port: 80 } as const;
  d.table.addService(serviceSpec(id, { scheduler: "rr" }));
  d.table.addDestination(id, {
    ...{ family, address: SERVER[kind], port: 80, method: "dr", weight: 1, upper: 0, lower: 0 },
    ...{ tunnel: { type: "ipip", port: 0, checksum: "none" } },
  } as Parameters<typeof d.table.addDestination>[1]);
  d.change({ sync_version: version, sync_threshold: "0 0" });
  return d;
}

/** Connection number `n`, established. */
function connect(d: Director, kind: Kind, n: number, now: number): number {
  const client =
    kind === "IPv4"
      ? `10.1.${Math.floor(n / PORT_TO_ADDRESS)}.2`
      : `2001:db8:1::${Math.floor(n / PORT_TO_ADDRESS)}`;
  const family = kind === "IPv4" ? 4 : 6;
  const { connections } = d;
  const c = connections.make({
    family,
    protocol: 6,
    client: toWords(client),
    clientPort: 1024 + (n % PORT_TO_ADDRESS),
    virtual: toWords(VIP[kind]),
    virtualPort: 80,
    destinationFamily: family,
    destination: toWords(SERVER[kind]),
    destinationPort: 80,
    flags: FLAG.noOutput | 3,
    fwmark: 0,
  });
  connections.setState(c, 1);
  connections.setTimeoutMs(c, 900_000);
  connections.hash(c, now);
  connections.restart(c, now);
  return c;
}

function throughput(kind: Kind, version: 0 | 1): void {
  const encode: number[] = [];
  const apply: number[] = [];
  let [bytes, entries] = [0, 0];
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const master = director(kind, version);
    const backup = director(kind, version);
    const messages: Uint8Array[] = [];
    const sender = master.startMaster({ syncId: 1, maxLen: 1472, send: (m) => messages.push(m) });
    const all = Array.from({ length: CONNECTIONS }, (_, n) => connect(master, kind, n, 0));
    let from = performance.now();
    for (const c of all) sender.kept(c);
    sender.flush(0, true);
    encode.push(CONNECTIONS / ((performance.now() - from) / 1000));
    const receiver = backup.backup(1);
    from = performance.now();
    for (const message of messages) receiver.receive(message, 1);
    apply.push(CONNECTIONS / ((performance.now() - from) / 1000));
    if (receiver.counts.created !== CONNECTIONS) throw new Error(`only ${receiver.counts.created} arrived`);
    ({ bytes, entries } = sender.counts);
  }
  for (const list of [encode, apply]) list.shift();
  const what = `version ${version}, ${kind}`;
  print(`${what}: announced`, median(encode), "connections/s", "one core");
  print(`${what}: taken by a new backup`, median(apply), "connections/s", "one core");
  print(`${what}: on the wire`, bytes / entries, "bytes/connection", "UDP payload");
}

/** The backup's process: takes messages, and says how old each connection was when it was in its table. */
function follow(): void {
  const backup = director("IPv4", 1);
  const receiver = backup.backup(1);
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  let seen = 0;
  socket.on("message", (message) => {
    receiver.receive(message, performance.now());
    seen = receiver.counts.created;
    process.send!({ seen, at: wallClock() });
  });
  socket.bind(0, "127.0.0.1", () => process.send!({ port: socket.address().port }));
  process.on("disconnect", () => process.exit());
}

/** 10,000 new connections a second at the master; when each was in the backup's table. */
async function lag(): Promise<void> {
  const child: ChildProcess = fork(import.meta.filename, ["follow"]);
  const port = await new Promise<number>((resolve) =>
    child.once("message", (m) => resolve((m as { port: number }).port)),
  );
  const master = director("IPv4", 1);
  const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20 });
  const sender = master.startMaster({
    syncId: 1,
    maxLen: 1472,
    send: (m) => socket.send(m, port, "127.0.0.1"),
  });
  const made = new Float64Array(RATE * SECONDS);
  const late: number[] = [];
  let known = 0;
  child.on("message", (m) => {
    const { seen, at } = m as { seen: number; at: number };
    for (; known < seen; known++) late.push(at - made[known]);
  });
  const from = performance.now();
  let [n, busy] = [0, 0];
  while (n < made.length) {
    const began = performance.now();
    const due = Math.min(made.length, Math.floor(((began - from) / 1000) * RATE));
    master.advance(began);
    for (; n < due; n++) {
      const c = connect(master, "IPv4", n, began);
      made[n] = wallClock();
      sender.kept(c);
    }
    sender.flush(performance.now());
    busy += performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  sender.flush(performance.now(), true);
  for (const giveUpAt = Date.now() + 5000; known < n && Date.now() < giveUpAt; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  late.sort((a, b) => a - b);
  const note = `${RATE.toLocaleString("en-US")} new connections/s, ${n - known} lost`;
  print("two processes: lag, median", late[late.length >> 1], "ms", note);
  print("two processes: lag, 99 %", late[Math.floor(late.length * 0.99)], "ms", note);
  print("two processes: master's share of a core", (busy / (performance.now() - from)) * 100, "%", note);
  child.disconnect();
  socket.close();
}

async function main(): Promise<void> {
  throughput("IPv4", 1);
  throughput("IPv4", 0);
  throughput("IPv6", 1);
  await lag();
  await benchEbpfSync(print, import.meta.filename);
}

if (process.argv[2] === "follow") follow();
else if (process.argv[2] === "follow-ebpf") followEbpf();
else void main();
