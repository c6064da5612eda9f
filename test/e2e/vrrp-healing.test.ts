/** What a killed process leaves behind, and who has the address meanwhile: lvsd's daemon on one side, Debian's keepalived on the other. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { vrrpInstance } from "../../src/testkit/vrrp-spec.ts";
import { Bed, KEEPALIVED, PROGRAM, pause, until } from "./vrrp-bed.ts";

/** Our command of that name: the daemon without its virtual servers. */
const OURS = join(import.meta.dirname, "../../dist/keepalived.cjs");
const VIP = "192.0.2.100";
const TIMEOUT = 110_000;

const ready =
  process.getuid?.() === 0 &&
  existsSync(PROGRAM) &&
  [KEEPALIVED, "ip"].every((tool) => spawnSync("which", [tool]).status === 0);
if (!ready) console.warn("vrrp-healing.test.ts: skipped, needs root, npm run build, and keepalived");

const on = (body: (bed: Bed) => Promise<void>) => async (): Promise<void> => {
  const bed = await Bed.make();
  try {
    await body(bed);
  } finally {
    await bed.remove();
  }
};

/** The daemon in the first namespace of a bed. */
class Daemon {
  readonly #child: ChildProcess;
  readonly #pidFile: string;
  log = "";

  constructor(bed: Bed, conf: string) {
    const file = join(bed.directory, "ours.conf");
    writeFileSync(file, conf);
    this.#pidFile = join(bed.directory, "ours-vrrp.pid");
    const args = ["-nlDGP", "-f", file, "-p", join(bed.directory, "ours.pid"), "-r", this.#pidFile];
    this.#child = spawn("ip", ["netns", "exec", bed.a, process.execPath, OURS, ...args], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on("data", (chunk: Buffer) => {
        this.log += chunk.toString();
      });
  }

  /** Process number of the VRRP process. */
  get vrrp(): number {
    return existsSync(this.#pidFile) ? Number(readFileSync(this.#pidFile, "utf8")) : 0;
  }

  times(text: string): number {
    return this.log.split(text).length - 1;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    await gone;
  }
}

const CONF = `vrrp_instance VI {
    interface v0
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        ${VIP}/24
    }
}
`;

describe.skipIf(!ready).concurrent("a killed process", () => {
  test.concurrent(
    "of VRRP is replaced before anybody notices: the address never leaves, the peer never takes over; killed again, it leaves nothing",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [vrrpInstance({ priority: 100 })]);
      const daemon = new Daemon(bed, CONF);
      const monitor = spawn("ip", ["-n", bed.a, "monitor", "address"]);
      let moves = "";
      monitor.stdout.on("data", (chunk: Buffer) => {
        moves += chunk.toString();
      });
      try {
        await until("we are master", () => daemon.times("Entering MASTER STATE") === 1);
        const pid = daemon.vrrp;
        process.kill(pid, "SIGKILL");
        await until("another process is master", () => daemon.times("Entering MASTER STATE") === 2);
        expect(daemon.vrrp).not.toBe(pid);
        expect(daemon.log).toContain("it is started again");
        await pause(4500); // longer than the peer would wait
        expect(k.state()).toBe("backup");
        expect(await bed.has(bed.a, VIP)).toBe(true);
        expect(moves).not.toContain("Deleted");

        process.kill(daemon.vrrp, "SIGKILL");
        await daemon.stop(); // while it waits to start another one, or has just done so
        expect(await bed.has(bed.a, VIP)).toBe(false);
        await until("the peer takes over", () => k.state() === "master");
      } finally {
        monitor.kill();
        await daemon.stop("SIGKILL");
      }
    }),
    TIMEOUT,
  );

  test.concurrent(
    "of VRRP that dies again and again leaves nothing behind while it is not started",
    on(async (bed) => {
      const daemon = new Daemon(
        bed,
        CONF.replace("priority 150", "priority 150\n    version 3\n    advert_int 0.1"),
      );
      try {
        for (let deaths = 0; deaths < 5; deaths++) {
          await until("master", () => daemon.times("Entering MASTER STATE") > deaths);
          await until("it has the address", () => bed.has(bed.a, VIP));
          process.kill(daemon.vrrp, "SIGKILL");
          await until("it is noticed", () => daemon.times("it is started again") === deaths + 1);
        }
        const starts = daemon.times("Starting VRRP child process");
        await until("the address is gone", async () => !(await bed.has(bed.a, VIP)));
        expect(daemon.times("Starting VRRP child process")).toBe(starts);
        await until("it is master in the end", () => bed.has(bed.a, VIP));
      } finally {
        await daemon.stop();
      }
      expect(await bed.has(bed.a, VIP)).toBe(false);
    }),
    TIMEOUT,
  );

  test.concurrent(
    "that was the daemon: VRRP resigns at once and takes the address back",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [vrrpInstance({ priority: 100 })]);
      const daemon = new Daemon(bed, CONF);
      try {
        await until("we are master", () => daemon.times("Entering MASTER STATE") === 1);
        await daemon.stop("SIGKILL");
        await until("the address is gone", async () => !(await bed.has(bed.a, VIP)));
        await until("the peer has it", () => bed.has(bed.b, VIP));
        expect(k.log).toContain("Backup received priority 0 advertisement");
      } finally {
        await daemon.stop("SIGKILL");
      }
    }),
    TIMEOUT,
  );

  test.concurrent(
    "of keepalived leaves its address: it does not stay on two hosts once another router has it",
    on(async (bed) => {
      const former = bed.keepalived(bed.a, [vrrpInstance({ priority: 150 })]);
      const other = bed.keepalived(bed.b, [vrrpInstance({ priority: 100 })]);
      await until("it is master", () => former.state() === "master");
      await until("it has the address", () => bed.has(bed.a, VIP));
      await former.kill();
      expect(await bed.has(bed.a, VIP)).toBe(true);
      await until("the other takes over", () => other.state() === "master");
      const l = bed.lvsd(bed.a, [vrrpInstance({ priority: 50 })]);
      await until("the address is on one host only", async () => !(await bed.has(bed.a, VIP)));
      await until("the other has it", () => bed.has(bed.b, VIP));
      expect(l.said("192.0.2.100 was on v0 before, but 192.0.2.2 is master of it")).toBe(true);
      await other.stop();
      await until("we take over", () => l.state() === "master");
      await l.stop();
      expect(await bed.has(bed.a, VIP)).toBe(false);
    }),
    TIMEOUT,
  );
});
