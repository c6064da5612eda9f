/**
 * Runs in the virtual machine, started by `kernel-plane.test.ts`: golden cases and generated tables with our ipvsadm on the
 * kernel plane, beside Debian's.
 */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeNames, type Names } from "../../src/interfaces/cli/names.ts";
import { kernelPlane } from "../../src/planes/kernel/kernel.ts";
import { newNetns } from "../../src/sys/netns.ts";
import { type Outcome, readCase, runHere, type Step, transcript } from "../golden/run-case.ts";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** Folder of the golden cases. */
  readonly cases: string;
  /** Folder of the built commands. */
  readonly dist: string;
  /** Cases to run with the code in this process. */
  readonly here: readonly string[];
  /** Cases to run with the built commands. */
  readonly built: readonly string[];
  /** Rules, each table for `ipvsadm -R`. */
  readonly tables: readonly { readonly number: number; readonly rules: string }[];
  /** Whether to look at connections, counters and settings too. */
  readonly live: boolean;
}

/** What became of one thing. */
export interface Told {
  readonly kind: "here" | "built" | "table" | "traffic" | "settings";
  /** Name of the case, number of the table. */
  readonly name: string;
  readonly expected: string;
  readonly got: string;
}

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;
const tell = (told: Told): void => console.log(`@@ ${JSON.stringify(told)}`);

const must = (command: string, args: readonly string[], input = ""): void => {
  const { status, stderr, error } = spawnSync(command, args, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
};

/** Moves this process into a namespace that is the machine of the recording. */
function enterMachine(): void {
  newNetns();
  must(
    "ip",
    ["-batch", "-"],
    [
      "link set lo up",
      "link add eth0 type veth peer name other",
      "link set other up",
      "link set eth0 up multicast on",
      "addr add 198.51.100.1/24 brd + dev eth0",
      "addr add 2001:db8:ee::1/64 dev eth0 nodad",
      "",
    ].join("\n"),
  );
}

const names = (): Names =>
  makeNames({
    hosts: () => readFileSync(join(task.cases, "hosts"), "utf8"),
    services: () => readFileSync(join(task.cases, "services"), "utf8"),
    resolver: async () => undefined,
  });

const expected = (name: string): string => readFileSync(join(task.cases, `${name}.out`), "utf8");

async function playCase(name: string, runStep: (step: Step) => Outcome | Promise<Outcome>): Promise<string> {
  let text = "";
  try {
    for (const step of readCase(readFileSync(join(task.cases, `${name}.sh`), "utf8"))) {
      text += transcript(step, await runStep(step));
    }
  } catch (error) {
    text += `! ${(error as Error).stack}\n`;
  }
  return text;
}

const ours = (words: readonly string[], known: Names, stdin = ""): Promise<Outcome> =>
  runHere(["ipvsadm", ...words].join(" "), stdin, known, async () => kernelPlane());

function debians(words: readonly string[], stdin = ""): Outcome {
  const { status, stdout, stderr } = spawnSync("/usr/sbin/ipvsadm", words, {
    input: stdin,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return { stdout, stderr, status: status ?? -1 };
}

const LISTINGS: readonly (readonly string[])[] = [
  ["-S", "-n"],
  ["-L", "-n"],
  ["-L", "-n", "--thresholds"],
  ["-L", "-n", "--tun-info"],
];

const show = ({ stdout, stderr, status }: Outcome): string => `${stdout}${stderr}= ${status}\n`;

/** Written by each, listed by both. */
async function playTable(rules: string): Promise<{ expected: string; got: string }> {
  const known = names();
  const restored: string[] = [];
  const told = { expected: "", got: "" };
  for (const writer of ["ours", "Debian's"]) {
    const write = (words: readonly string[], stdin = "") =>
      writer === "ours" ? ours(words, known, stdin) : debians(words, stdin);
    await write(["-C"]);
    restored.push(show(await write(["-R"], rules)));
    for (const words of LISTINGS) {
      told.expected += `by ${writer}: ${words.join(" ")}\n${show(debians(words))}`;
      told.got += `by ${writer}: ${words.join(" ")}\n${show(await ours(words, known))}`;
    }
  }
  return { expected: `${restored[1]}${told.expected}`, got: `${restored[0]}${told.got}` };
}

for (const name of task.here) {
  enterMachine();
  const known = names();
  const got = await playCase(name, ({ line, stdin }) =>
    runHere(line, stdin, known, async () => kernelPlane()),
  );
  tell({ kind: "here", name, expected: expected(name), got });
}

if (task.built.length > 0) {
  const bin = "/run/lvsd-bin";
  mkdirSync(bin, { recursive: true });
  for (const name of ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"]) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec "${process.execPath}" "${task.dist}/${name}.cjs" "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  // The overlay of the guest forgets this.
  for (const name of ["hosts", "services"])
    writeFileSync(`/etc/${name}`, readFileSync(join(task.cases, name)));
  writeFileSync("/etc/nsswitch.conf", "hosts: files\nservices: files\n");
  for (const name of task.built) {
    enterMachine();
    const got = await playCase(name, ({ line, stdin }) => {
      const [program, ...words] = line.split(/\s+/).filter(Boolean);
      // No plane is named: the kernel's ip_vs is found.
      const { status, stdout, stderr } = spawnSync(join(bin, program), words, {
        input: stdin,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], LC_ALL: "C" },
      });
      return { stdout, stderr, status: status ?? -1 };
    });
    tell({ kind: "built", name, expected: expected(name), got });
  }
}

/** Datagrams of this machine's own to its virtual services. */
async function sendDatagrams(): Promise<void> {
  for (const [type, address] of [
    ["udp4", "198.51.100.1"],
    ["udp6", "2001:db8:ee::1"],
  ] as const) {
    const socket = createSocket(type);
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => socket.send("hello", 5000, address, resolve));
    }
    socket.close();
  }
}

/** Connections, templates and counters as both list them; the seconds left may differ by the time between. */
async function playTraffic(): Promise<void> {
  enterMachine();
  const rules = `-A -u 198.51.100.1:5000 -s rr -p 300 -M 255.255.255.0
-a -u 198.51.100.1:5000 -r 198.51.100.1:5001 -m
-A -u [2001:db8:ee::1]:5000 -s rr -p 300
-a -u [2001:db8:ee::1]:5000 -r [2001:db8:ee::1]:5001 -m
`;
  const known = names();
  await ours(["-R"], known, rules);
  await sendDatagrams();
  await new Promise((resolve) => setTimeout(resolve, 2500)); // the kernel counts every 2 s
  const text = async (list: (words: readonly string[]) => Outcome | Promise<Outcome>): Promise<string> => {
    let all = "";
    for (const what of [
      ["-L", "-c", "-n"],
      ["-L", "-n", "--stats"],
      ["-L", "-n", "--persistent-conn"],
    ])
      all += show(await list(what)).replace(/\d\d:\d\d/g, "mm:ss");
    return all;
  };
  const expected = await text((words) => debians(words));
  const got = await text((words) => ours(words, known));
  const seen = (got.match(/^UDP mm:ss/gm) ?? []).length;
  tell({ kind: "traffic", name: "", expected: `${expected}4 entries`, got: `${got}${seen} entries` });
}

/** Settings of this namespace, read and written. */
async function playSettings(): Promise<void> {
  enterMachine();
  const plane = kernelPlane();
  const before = await plane.settings();
  await plane.setSettings({ conntrack: 1, sync_threshold: "5 60" });
  const after = await plane.settings();
  const sysctl = readFileSync("/proc/sys/net/ipv4/vs/sync_threshold", "utf8").trim().split(/\s+/).join(" ");
  const refused = await plane.setSettings({ fullnat_toa: 1 }).catch((error) => error.name);
  await plane.close();
  const got = [
    before.conntrack,
    before.sync_threshold,
    after.conntrack,
    after.sync_threshold,
    sysctl,
    refused,
  ];
  const expected = [0, "3 50", 1, "5 60", "5 60", "UnsupportedError"];
  tell({ kind: "settings", name: "", expected: expected.join(), got: got.join() });
}

if (task.live) {
  await playTraffic();
  await playSettings();
}

if (task.tables.length > 0) enterMachine();
for (const { number, rules } of task.tables) {
  const outcome = await playTable(rules).catch((error) => ({ expected: "", got: String(error.stack) }));
  tell({ kind: "table", name: String(number), ...outcome });
}
console.log("@@ done");
