/**
 * Runs in the virtual machine, started by `daemon.test.ts`: the daemon, ldirectord and the labs on the kernel's own ip_vs. Plays the
 * stories that the other planes play outside, and tells what became of every part.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** The project's folder. */
  readonly root: string;
  /** How many steps of the daemon's story. */
  readonly daemon: number;
  /** Scenarios of ldirectord. */
  readonly ldirectord: readonly string[];
  readonly labs: readonly string[];
  /** Open connections and reloads meanwhile; 0 leaves that out. */
  readonly connections: number;
  readonly reloads: number;
}

/** What became of one part. */
export interface Told {
  /** "KIND: NAME". */
  readonly part: string;
  /** Of the guest. */
  readonly seconds: number;
  /** Why it failed. */
  readonly trouble?: string;
  /** A lab's exit status and everything that it printed. */
  readonly status?: number;
  readonly text?: string;
}

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;
// The stories look for the built commands from the project's folder, and for node by its name.
process.chdir(task.root);
process.env["PATH"] = `${dirname(process.execPath)}:${process.env["PATH"]}`;
process.env["NODE_EXTRA_CA_CERTS"] = "";
process.env["LVSD_TEST_SLOWNESS"] = "8";

/** For parts that end well or throw. */
const quietly = (play: () => Promise<unknown>) => async (): Promise<undefined> => {
  await play();
};

/** Plays a part and tells how it went. Returns whether it went well. */
async function part(
  name: string,
  play: () => Promise<Pick<Told, "status" | "text"> | undefined>,
): Promise<boolean> {
  const from = Date.now();
  const seconds = (): number => Math.round((Date.now() - from) / 100) / 10;
  const tell = (told: Told): void => console.log(`@@ ${JSON.stringify(told)}`);
  try {
    const seen = await play();
    tell({ part: name, seconds: seconds(), ...seen });
    return true;
  } catch (error) {
    tell({ part: name, seconds: seconds(), trouble: (error as Error).stack ?? String(error) });
    return false;
  }
}

async function playDaemon(): Promise<void> {
  const { DaemonBed } = await import("../e2e/daemon-bed.ts");
  const { daemonStory } = await import("../e2e/daemon-story.ts");
  const bed = new DaemonBed("d", "kernel");
  try {
    if (
      !(await part(
        "daemon: network",
        quietly(() => bed.up()),
      ))
    )
      return;
    for (const { title, play } of daemonStory(bed).slice(0, task.daemon)) {
      if (!(await part(`daemon: ${title}`, quietly(play)))) return;
    }
  } finally {
    await bed.down();
  }
}

async function playLdirectord(name: string): Promise<void> {
  const { LdirectordStage } = await import("../e2e/ldirectord-stage.ts");
  const { Player } = await import("../e2e/ldirectord-player.ts");
  const stage = new LdirectordStage("kernel");
  try {
    await part(
      `ldirectord: ${name}`,
      quietly(() => new Player(stage, Player.read(name)).play()),
    );
  } finally {
    await stage.close();
  }
}

const lab = (name: string): Promise<Pick<Told, "status" | "text">> =>
  new Promise((resolve) => {
    const words = [join(task.root, "dist/lvsd.cjs"), "lab", name];
    const env = { ...process.env, LVSD_PLANE: "kernel" };
    execFile(process.execPath, words, { env }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), text: out + err }),
    );
  });

if (task.daemon > 0) await playDaemon();
if (task.connections > 0) {
  const { DaemonBed } = await import("../e2e/daemon-bed.ts");
  const { reloadStory } = await import("../e2e/reload-story.ts");
  const bed = new DaemonBed("r", "kernel");
  try {
    await bed.up();
    for (const { title, play } of reloadStory(bed, task.connections, task.reloads)) {
      if (!(await part(`reload: ${title}`, quietly(play)))) break;
    }
  } finally {
    await bed.down();
  }
}
for (const name of task.ldirectord) await playLdirectord(name);
for (const name of task.labs) await part(`lab: ${name}`, () => lab(name));
console.log("@@ done");
process.exit(0);
