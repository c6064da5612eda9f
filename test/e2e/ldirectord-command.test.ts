/**
 * The `ldirectord` command: its life with pid files and exit statuses, its logs, and the examples of its document.
 */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LdirectordStage } from "./ldirectord-stage.ts";

const WEB = `checktimeout=2
checkinterval=1
virtual=10.80.0.200:80
\treal=127.0.80.102:8080 masq
\treal=127.0.80.103:8080 masq 2
\tfallback=127.0.80.1:80
\tservice=http
`;
const ONE = "TCP 10.80.0.200:80 wrr\n  -> 127.0.80.102:8080 Masq 1\n  -> 127.0.80.103:8080 Masq 2";

/** Waits until `ask` gives what is wanted. */
async function until<T>(ask: () => T | Promise<T>, wanted: T): Promise<void> {
  const end = Date.now() + 30_000;
  while ((await ask()) !== wanted && Date.now() < end) await sleep(200);
  expect(await ask()).toBe(wanted);
}

describe.skipIf(process.getuid!() !== 0)("the ldirectord command", () => {
  let stage: LdirectordStage;
  const table = async () => (await stage.table()).join("\n");
  const pid = (name: string) => stage.read(`ldirectord.${name}.pid`);

  beforeAll(async () => {
    stage = new LdirectordStage();
    const endpoint = (addr: string, port: number) => ({ addr, port, body: "alive" });
    const endpoints = {
      r1: endpoint("127.0.80.102", 8080),
      r2: endpoint("127.0.80.103", 8080),
      // Those of the document.
      d1: endpoint("192.168.80.102", 80),
      d2: endpoint("192.168.80.103", 80),
    };
    await stage.serve(endpoints);
    for (const name of Object.keys(endpoints)) await stage.order({ do: "up", name });
  });
  afterAll(() => stage.close());

  test("start, status, reload, restart, stop: statuses and words of the original", async () => {
    const cf = stage.configure("web.cf", WEB);
    expect(await stage.ldirectord(cf, "status")).toEqual({
      rc: 3,
      out: `ldirectord is stopped for ${cf}\n`,
      err: "",
    });
    expect((await stage.ldirectord(cf, "reload")).rc).toBe(1);
    expect(await stage.ldirectord(cf, "stop")).toEqual({ rc: 0, out: "", err: "" });
    expect(await stage.ldirectord(cf, "try-restart")).toEqual({ rc: 0, out: "", err: "" });

    expect(await stage.ldirectord(cf, "start")).toEqual({ rc: 0, out: "", err: "" });
    const first = pid("web.cf");
    expect(first).toMatch(/^\d+\n$/);
    expect(await stage.ldirectord(cf, "start"), "a second start does nothing").toEqual({
      rc: 0,
      out: "",
      err: "",
    });
    expect(pid("web.cf")).toBe(first);
    expect(await stage.ldirectord(cf, "status")).toEqual({
      rc: 0,
      out: "",
      err: `ldirectord for ${cf} is running with pid: ${first}`,
    });
    await until(table, ONE);
    expect((await stage.ldirectord(cf, "reload")).rc).toBe(0);
    expect((await stage.ldirectord(cf, "restart")).rc).toBe(0);
    expect(pid("web.cf")).not.toBe(first);
    await until(table, ONE);

    expect((await stage.ldirectord(cf, "stop")).rc).toBe(0);
    await until(() => existsSync(stage.path("ldirectord.web.cf.pid")), false);
    expect(await table()).toBe("");
    const stamp = String.raw`\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\|web\.cf\|\d+\]`;
    const log = stage.read("log");
    for (const line of log.trimEnd().split("\n")) expect(line).toMatch(new RegExp(`^${stamp} `));
    expect(log).toMatch(/\] Invoking ldirectord invoked as: \S+ \S+web\.cf start $/m);
    expect(log).toMatch(/\] Starting Linux Director v1\.186-ha as daemon$/m);
    expect(log).toMatch(/\] Linux Director Daemon terminated on signal: TERM$/m);
  });

  test("a pid file that names another process is stale", async () => {
    const cf = stage.configure("stale.cf", WEB);
    stage.write("ldirectord.stale.cf.pid", `${process.pid}\n`);
    expect(await stage.ldirectord(cf, "status")).toEqual({
      rc: 1,
      out: `ldirectord is stopped for ${cf}\n`,
      err: `ldirectord stale pid file ${stage.path("ldirectord.stale.cf.pid")} for ${cf}\n`,
    });
    expect((await stage.ldirectord(cf, "stop")).rc).toBe(0);
    expect(pid("stale.cf")).toBe(`${process.pid}\n`);
    expect((await stage.ldirectord(cf, "start")).rc).toBe(0);
    expect(pid("stale.cf")).not.toBe(`${process.pid}\n`);
    expect((await stage.ldirectord(cf, "stop")).rc).toBe(0);
    await until(() => existsSync(stage.path("ldirectord.stale.cf.pid")), false);
  });

  test("an error names process, file and line as the original does, and shows the place", async () => {
    const cf = stage.configure(
      "bad.cf",
      'logfile="@DIR@/bad.log"\nvirtual=10.80.0.1:80\n\treal=10.0.0.1:80 gait\n',
    );
    const { rc, out, err } = await stage.ldirectord(cf, "start");
    expect({ rc, out }).toEqual({ rc: 2, out: "" });
    expect(err.replace(/\[\d+\]/, "[PID]")).toBe(
      [
        `Error [PID] reading file ${cf} at line 3: "gait" is no forwarding method (column 19)`,
        "    \treal=10.0.0.1:80 gait",
        "    \t                 ^^^^",
        "    write gate (direct routing), masq (NAT) or ipip (tunnel)",
        "",
      ].join("\n"),
    );
    expect(stage.read("bad.log")).toContain("Exiting with exit_status 2: config_error: Configuration Error");
  });

  test("words that are not understood, files that are not there", async () => {
    expect(await stage.ldirectord("begin")).toMatchObject({
      rc: 255,
      out: expect.stringMatching(/^Usage: /),
      err: "",
    });
    expect(await stage.ldirectord("--nonsense", "start")).toMatchObject({ rc: 255 });
    expect(await stage.ldirectord("-h")).toMatchObject({ rc: 0, out: expect.stringMatching(/^NAME/) });
    expect(await stage.ldirectord("-v")).toMatchObject({ rc: 0, out: expect.stringContaining("v1.186-ha") });
    // It would say so in /var/log.
    const quietly = 'mount -t tmpfs none /var/log && exec ldirectord "$@"';
    const missing = [
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      quietly,
      "sh",
      "/nowhere/x.cf",
      "start",
    ];
    expect(await stage.run("unshare", ...missing)).toMatchObject({
      rc: 1,
      err: "Config file /nowhere/x.cf not found\n",
    });
  });

  for (const [how, words, text] of [
    ["supervised", ["start"], `supervised=yes\n${WEB}`],
    ["debug", ["-d", "start"], WEB],
  ] as const) {
    test(`${how}: it stays in the foreground, says what happens, and ends in good order`, async () => {
      const cf = stage.configure(`${how}.cf`, text);
      const child = stage.spawn("ldirectord", ...words.slice(0, -1), cf, "start");
      let said = "";
      const stream = how === "debug" ? child.stderr! : child.stdout!;
      stream.setEncoding("utf8").on("data", (chunk) => {
        said += chunk;
      });
      const ended = once(child, "exit");
      await until(table, ONE);
      expect(existsSync(stage.path(`ldirectord.${how}.cf.pid`))).toBe(false);
      child.kill("SIGINT");
      expect(await ended).toEqual([0, null]);
      expect(await table()).toBe("");
      const added = "Added virtual server: 10.80.0.200:80";
      if (how === "debug") expect(said).toContain(`\nDEBUG2: ${added}\n${added}\n`);
      else expect(said).toMatch(new RegExp(`^\\[\\w{3} \\w{3} [ \\d]\\d [\\d:]{8} \\d{4}\\] ${added}$`, "m"));
      expect(said.trimEnd()).toMatch(/Linux Director Daemon terminated on signal: INT$/);
    });
  }

  test("execute does the same to other configurations", async () => {
    const other = stage.configure("other.cf", WEB.replace("10.80.0.200", "10.80.0.201"));
    const cf = stage.configure("both.cf", `execute=${other}\n${WEB}`);
    expect((await stage.ldirectord(cf, "start")).rc).toBe(0);
    const headers = async () => (await stage.table()).filter((line) => line.startsWith("TCP")).join();
    await until(headers, "TCP 10.80.0.200:80 wrr,TCP 10.80.0.201:80 wrr");
    expect((await stage.ldirectord(cf, "stop")).rc).toBe(0);
    await until(headers, "");
    expect((await stage.ldirectord(other, "status")).rc).toBe(3);
  });

  test("lvsd run takes the same file", async () => {
    const cf = stage.configure("run.cf", `${WEB}\tmonitorfile=@DIR@/monitor\n`);
    const child = stage.spawn("lvsd", "run", "-f", cf);
    const ended = once(child, "exit");
    await until(table, ONE);
    await until(
      () => stage.read("monitor").includes("negotiate http tcp 127.0.80.103 8080 2 masq /  [up] "),
      true,
    );
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(await table()).toBe("");
  });

  /**
   * Console blocks of the document, in order: `cat FILE` makes the file that it shows, everything else is run and must print what stands
   * there. Blocks that begin a lab are run by the labs' test.
   */
  test("docs/ldirectord.md shows what really happens", async () => {
    const document = readFileSync(join(process.cwd(), "docs/ldirectord.md"), "utf8");
    const blocks = [...document.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block]) => block!);
    expect(blocks.length).toBeGreaterThan(3);
    const shown = (text: string) =>
      text
        .replace(/pid: \d+/g, "pid: PID")
        .replace(/\[\d+\]/g, "[PID]")
        .replace(/ +$/gm, "");
    for (const block of blocks.filter((text) => !text.startsWith("$ lvsd lab "))) {
      for (const [, command, output] of block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
        const file = /^cat (\S+)$/.exec(command!)?.[1];
        if (file !== undefined) {
          stage.write(file, output!);
          continue;
        }
        const printed = async () => {
          const { out, err } = await stage.run("sh", "-c", command!);
          return shown(out + err);
        };
        // Some things need a round of checks first.
        if (command!.startsWith("ipvsadm")) await until(printed, shown(output!));
        else expect(await printed(), command).toBe(shown(output!));
      }
    }
  });
});
