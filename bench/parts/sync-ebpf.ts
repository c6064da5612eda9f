/**
 * Connection sync on the eBPF plane, for `npm run bench:sync`: real packets through the real programs by test runs, what they tell of new
 * connections announced, and a master's messages taken into the table.
 */
import { type ChildProcess, fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { serviceSpec } from "../../src/core/table.ts";
import { TableWriter } from "../../src/planes/ebpf/hash-tables.ts";
import { image, loadImage } from "../../src/planes/ebpf/image.ts";
import { bucketsFor, CONFIG, PROGRAMS, STATE, TEST } from "../../src/planes/ebpf/layout.ts";
import { Mirror } from "../../src/planes/ebpf/mirror.ts";
import { Rules } from "../../src/planes/ebpf/rules.ts";
import { Announcer } from "../../src/planes/ebpf/sync/announcer.ts";
import { EntryWriter, MapReceiver } from "../../src/planes/ebpf/sync/receiver.ts";
import { TestRun } from "../../src/sys/bpf/program.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { RecordingHost } from "../../src/testkit/recording-host.ts";
import { LoadedMaps } from "../../test/ebpf/twins.ts";

const CONNECTIONS = 100_000;
const SLOTS = 1 << 18;
/** Fewer than the ring buffer has room for. */
const AT_ONCE = 20_000;
const RATE = 10_000;
const SECONDS = 6;
const VIP = "10.9.0.1";
const SERVER = "10.2.0.11";
const ETHERNET = 14;
const clock = (): number => Number(process.hrtime.bigint()) / 1e6;
const wallClock = (): number => performance.timeOrigin + performance.now();

type Print = (name: string, value: number, unit: string, note?: string) => void;

/** The programs with one service, on maps that nobody pinned. */
class Side {
  readonly maps: LoadedMaps;
  readonly rules: Rules;
  readonly #packets: readonly Buffer[];
  readonly #run: TestRun;

  constructor() {
    const object = loadImage(image().bytes, {
      ...{ connections: SLOTS, buckets: bucketsFor(SLOTS), services: 64, dests: 64 },
    });
    this.maps = new LoadedMaps(object);
    const host = new RecordingHost([VIP]);
    this.rules = new Rules(host);
    const id = { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 80 } as const;
    this.rules.apply({ op: "addService", spec: serviceSpec(id, { scheduler: "rr" }), id: 1 });
    this.rules.apply({
      op: "addDestination",
      service: id,
      spec: destination(SERVER, { method: "dr" }),
      id: 1,
    });
    const daemon = {
      state: "master",
      interface: "eth0",
      syncId: 1,
      maxLen: 1472,
      group: "",
      port: 0,
      ttl: 1,
    } as const;
    this.rules.apply({ op: "startDaemon", daemon });
    const config = this.maps.array("config").view;
    config.setUint32(CONFIG.at.test, TEST.output, true);
    config.setUint32(CONFIG.at.slots, SLOTS, true);
    config.setBigUint64(CONFIG.at.bucket_mask, BigInt(bucketsFor(SLOTS) - 1), true);
    const state = this.maps.array("state").view;
    state.setUint32(STATE.at.fresh, 1, true);
    state.setUint32(STATE.at.hand, 1, true);
    const route = () => ({ source: new Uint8Array(16), local: false });
    new Mirror(this.maps, this.rules, route, new TableWriter(this.maps)).everything();
    this.#run = new TestRun(object.program(PROGRAMS.ingress));
    this.#packets = ["S", "A", "PA len=40"].map((flags) =>
      Buffer.from(buildPacket(parseNote(`tcp 10.1.0.2:1024 > ${VIP}:80 ${flags}`))),
    );
  }

  get settings() {
    return this.rules.settings;
  }
  clock(): number {
    return clock();
  }

  /** The first three packets of connection number `n`, of which the last has it announced. */
  connect(n: number): void {
    for (const packet of this.#packets) {
      const { input } = this.#run;
      input.fill(0, 0, ETHERNET);
      input[12] = 8;
      input.set(packet, ETHERNET);
      const v = new DataView(input.buffer);
      v.setUint16(ETHERNET + 14, Math.floor(n / 60_000));
      v.setUint16(ETHERNET + 20, 1024 + (n % 60_000));
      this.#run.run(ETHERNET + packet.length);
    }
  }

  receiver(): MapReceiver {
    const program = this.maps.program(PROGRAMS.synced);
    const writer = new EntryWriter({ maps: this.maps, program, rules: this.rules });
    return new MapReceiver(
      () => writer,
      1,
      () => {},
    );
  }

  close(): void {
    this.maps.close();
  }
}

function throughput(print: Print): void {
  const [master, backup] = [new Side(), new Side()];
  const messages: Uint8Array[] = [];
  const options = { syncId: 1, maxLen: 1472, send: (m: Uint8Array) => void messages.push(m) };
  const announcer = new Announcer(master.maps, master, options);
  let took = 0;
  for (let n = 0; n < CONNECTIONS; ) {
    for (const end = n + AT_ONCE; n < end; n++) master.connect(n);
    const from = performance.now();
    while (announcer.poll() > 0);
    took += performance.now() - from;
  }
  const { entries } = announcer.master.counts;
  announcer.close();
  if (announcer.master.counts.entries !== CONNECTIONS || announcer.lost !== 0)
    throw new Error(`only ${announcer.master.counts.entries} were announced`);
  print("eBPF: announced", entries / (took / 1000), "connections/s", "one core");
  const receiver = backup.receiver();
  for (const which of ["taken by a new backup", "taken by a backup that knows them"]) {
    const from = performance.now();
    for (const message of messages) receiver.receive(message);
    print(`eBPF: ${which}`, CONNECTIONS / ((performance.now() - from) / 1000), "connections/s", "one core");
  }
  const { created, updated } = receiver.counts;
  if (created !== CONNECTIONS || updated !== CONNECTIONS)
    throw new Error(`${created} and ${updated} arrived`);
  master.close();
  backup.close();
}

/** What a packet costs with a master daemon and without: of connections that are established. */
function packetCost(print: Print): void {
  const side = new Side();
  for (let n = 0; n < 1000; n++) side.connect(n);
  const config = side.maps.array("config").view;
  const run = new TestRun(side.maps.program(PROGRAMS.ingress));
  const packet = buildPacket(parseNote(`tcp 10.1.0.2:1024 > ${VIP}:80 A`));
  run.input[12] = 8;
  run.input.set(packet, ETHERNET);
  new DataView(run.input.buffer).setUint16(ETHERNET + 14, 0);
  const times: Record<0 | 1, number[]> = { 0: [], 1: [] };
  for (let round = 0; round < 21; round++) {
    for (const on of [0, 1] as const) {
      config.setUint32(CONFIG.at.sync_on, on, true);
      // The frame is sent on and so changed only once.
      run.run(ETHERNET + packet.length, {}, 20_000);
      times[on].push(run.duration);
    }
  }
  const median = (of: number[]): number => of.sort((a, b) => a - b)[of.length >> 1]!;
  print("eBPF: a packet, no master daemon", median(times[0]), "ns", "program alone");
  print("eBPF: a packet, master daemon", median(times[1]), "ns", "program alone");
  side.close();
}

/** The backup's process. */
export function followEbpf(): void {
  const backup = new Side();
  const receiver = backup.receiver();
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  socket.on("message", (message) => {
    receiver.receive(message);
    process.send!({ seen: receiver.counts.created, at: wallClock() });
  });
  socket.bind(0, "127.0.0.1", () => process.send!({ port: socket.address().port }));
  process.on("disconnect", () => process.exit());
}

/** 10,000 new connections a second; when each was in the backup's table. */
async function lag(print: Print, main: string): Promise<void> {
  const child: ChildProcess = fork(main, ["follow-ebpf"]);
  const port = await new Promise<number>((resolve) =>
    child.once("message", (m) => resolve((m as { port: number }).port)),
  );
  const side = new Side();
  const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20 });
  const send = (m: Uint8Array): void => socket.send(m, port, "127.0.0.1");
  const announcer = new Announcer(side.maps, side, { syncId: 1, maxLen: 1472, send });
  const made = new Float64Array(RATE * SECONDS);
  const late: number[] = [];
  let known = 0;
  child.on("message", (m) => {
    const { seen, at } = m as { seen: number; at: number };
    for (; known < seen; known++) late.push(at - made[known]!);
  });
  const from = performance.now();
  let [n, busy, polled] = [0, 0, 0];
  while (n < made.length) {
    const due = Math.min(made.length, Math.floor(((performance.now() - from) / 1000) * RATE));
    for (; n < due; n++) {
      side.connect(n);
      made[n] = wallClock();
    }
    // As the process does it: every 5 ms.
    if (performance.now() - polled >= 5) {
      const began = performance.now();
      announcer.poll();
      polled = performance.now();
      busy += polled - began;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  announcer.close();
  for (const giveUpAt = Date.now() + 5000; known < n && Date.now() < giveUpAt; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  late.sort((a, b) => a - b);
  const note = `${RATE.toLocaleString("en-US")} new connections/s, ${n - known} not there, ${announcer.master.counts.entries} announced`;
  print("eBPF, two processes: lag, median", late[late.length >> 1]!, "ms", note);
  print("eBPF, two processes: lag, 99 %", late[Math.floor(late.length * 0.99)]!, "ms", note);
  print(
    "eBPF, two processes: the sync process's share of a core",
    (busy / (performance.now() - from)) * 100,
    "%",
    note,
  );
  child.disconnect();
  socket.close();
  side.close();
}

/** All of it. `main` is the script that has {@link followEbpf} behind "follow-ebpf". */
export async function benchEbpfSync(print: Print, main: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  throughput(print);
  packetCost(print);
  await lag(print, main);
}
