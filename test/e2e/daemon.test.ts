/** The daemon on the engine plane, with real servers, clients, mail and scripts. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DaemonEvent } from "../../src/interfaces/daemon/events.ts";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { DaemonBed, type Running, until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0;
const VIP = "10.1.0.100";
const WEB = `[${VIP}]:tcp:80`;
const RS1 = "[10.2.0.11]:tcp:8001";
const RS2 = "[10.2.0.12]:tcp:8001";

describe.skipIf(!root)("the daemon", () => {
  const bed = new DaemonBed("d");
  let daemon: Running;
  let web2: Running;
  const file = bed.path("keepalived.conf");

  /** A virtual server with two real ones: one asked by HTTP, one by TCP. */
  const configuration = (o: { weight2?: number; server2?: boolean; more?: string } = {}): string => `
global_defs {
    router_id lvtest
    script_user root
    notification_email { ops@example.org }
    notification_email_from lvs@example.org
    smtp_server 127.0.0.1 2525
    smtp_connect_timeout 3
    lvs_notify_fifo ${bed.path("fifo")}
    lvs_notify_fifo_script ${bed.path("reader")}
}
virtual_server ${VIP} 80 {
    delay_loop 0.3
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    smtp_alert
    quorum_up "${bed.path("quorum")} up"
    quorum_down "${bed.path("quorum")} down"
    sorry_server 10.2.0.12 8009
    real_server 10.2.0.11 8001 {
        notify_up "${bed.path("notify")} 1 up"
        notify_down "${bed.path("notify")} 1 down"
        HTTP_GET {
            url { path /healthz
                  status_code 200 }
            connect_timeout 2
            retry 1
            delay_before_retry 0.2
        }
    }
${
  o.server2 === false
    ? ""
    : `
    real_server 10.2.0.12 8001 {
        weight ${o.weight2 ?? 1}
        notify_up "${bed.path("notify")} 2 up"
        notify_down "${bed.path("notify")} 2 down"
        TCP_CHECK {
            connect_timeout 2
            retry 1
            delay_before_retry 0.2
        }
    }`
}
}
${o.more ?? ""}`;

  const lvsd = (...words: string[]): Promise<string> => bed.command("lvsd", ...words);
  const status = async (): Promise<DaemonStatus> => JSON.parse(await lvsd("status", "--json"));
  const server = (now: DaemonStatus, name: string) =>
    now.lvs!.virtualServers[0]!.servers.find((s) => s.name === name)!;
  const table = (): Promise<string> => bed.net.ipvsadm("-Sn");
  const names = async (count = 4): Promise<string[]> => [
    ...new Set((await bed.net.get(`http://${VIP}/`, count)).sort()),
  ];
  const trace = (): string[] => bed.read("trace").trim().split("\n");
  const start = async (log: "text" | "json"): Promise<void> => {
    daemon = bed.spawn("director", ["lvsd", "run", "-f", file, "--pid", bed.path("pid"), "--log", log]);
    await daemon.says("Startup complete");
  };

  beforeAll(async () => {
    await bed.up();
    bed.net.ip("director", `addr add ${VIP}/32 dev eth0`);
    bed.script("notify");
    bed.script("quorum");
    bed.script("reader", `exec cat "$1" >>${bed.path("lines")}`);
    bed.write("keepalived.conf", configuration());
    [, web2] = await Promise.all([
      bed.serve("server1", 8001),
      bed.serve("server2", 8001),
      bed.serve("server2", 8009),
      bed.mailServer(2525),
    ]);
    await start("text");
  });
  afterAll(() => bed.down());

  test("puts servers into the table at once, checks them, and tells how they stand", async () => {
    expect(await names()).toEqual(["server1", "server2"]);
    const now = await until("all checked", status, (s) =>
      s.lvs!.virtualServers[0]!.servers.every(({ checks }) => checks[0]!.state === "ok"),
    );
    expect(now.state).toBe("running");
    expect(server(now, RS1)).toMatchObject({ up: true, weight: 1, tableWeight: 1 });
    const text = await lvsd("status");
    expect(text).toMatch(/\[10\.2\.0\.11\]:tcp:8001 +up +\S+ +1 +nat/);
    expect(text).toContain("plane engine; 2 probes for 2 checks");
    expect(readFileSync(bed.path("pid"), "utf8")).toBe(`${now.pid}\n`);
    await until("quorum_up ran", trace, (lines) => lines.includes("quorum up"));
  });

  test("takes a failing server out after its retries, and says why everywhere", async () => {
    bed.ill("server1", true);
    const now = await until("server 1 is down", status, (s) => !server(s, RS1).up);
    expect(server(now, RS1).reason).toMatch(/503/);
    expect(server(now, RS1).tableWeight).toBeUndefined();
    expect(await names()).toEqual(["server2"]);
    await until("notify_down ran", trace, (lines) => lines.includes("notify 1 down"));
    await until(
      "the pipe tells",
      () => bed.read("lines"),
      (t) => t.includes(`RS ${RS1} ${WEB} DOWN\n`),
    );
    expect(daemon.output).toMatch(/Removing service \[10\.2\.0\.11\]:tcp:8001 from VS .*503/);
    expect(await lvsd("events")).toMatch(/Removing service \[10\.2\.0\.11\]:tcp:8001 .*503.* ms\)/);
  });

  test("brings in the sorry server when all are down: table, scripts, pipe and mail in their order", async () => {
    const before = trace().length;
    await web2.kill();
    await until("the quorum is lost", status, (s) => !s.lvs!.virtualServers[0]!.up);
    expect(await table()).toContain("-r 10.2.0.12:8009");
    expect(await table()).not.toContain(":8001");
    expect(await names(2)).toEqual(["server2"]);
    await until("scripts ran", trace, (lines) => lines.length >= before + 2);
    expect(trace().slice(before)).toEqual(["notify 2 down", "quorum down"]);
    const lines = await until(
      "the pipe tells",
      () => bed.read("lines"),
      (t) => t.includes(`VS ${WEB} DOWN`),
    );
    expect(lines.slice(lines.indexOf(`RS ${RS2}`))).toBe(`RS ${RS2} ${WEB} DOWN\nVS ${WEB} DOWN\n`);
    const mail = await until(
      "mail came",
      () => bed.read("mail"),
      (t) => t.includes(`${WEB} - DOWN`),
    );
    expect(mail).toContain("RCPT TO:<ops@example.org>");
    expect(mail.replace(/\n[ \t]+/g, " ")).toContain(
      `Subject: [lvtest] Realserver ${RS1} of virtual server ${WEB} - DOWN`,
    );
    expect(await lvsd("status")).toContain("sorry: SERVING");
  });

  test("puts them back when they recover, and the sorry server out", async () => {
    const before = trace().length;
    bed.ill("server1", false);
    web2 = await bed.serve("server2", 8001);
    await until("both are up", status, (s) => s.lvs!.virtualServers[0]!.servers.every(({ up }) => up));
    expect(await names()).toEqual(["server1", "server2"]);
    expect(await table()).not.toContain("8009");
    const seen = await until("scripts ran", trace, (lines) => lines.length >= before + 3);
    expect(seen.slice(before)).toContain("quorum up");
    expect(seen.indexOf("quorum up", before)).toBeGreaterThan(before); // after the first notify_up
  });

  test("drains a server: its open connection goes on, new ones go elsewhere; undrain brings it back", async () => {
    const calls = [await bed.call(VIP, 80), await bed.call(VIP, 80)];
    const mine = calls.find((call) => call.server === "server1")!;
    const said = await lvsd("drain", WEB, "10.2.0.11:8001");
    expect(said).toContain("1 active");
    expect(await names()).toEqual(["server2"]);
    await bed.stillServed(mine);
    const waiting = bed.spawn("director", ["lvsd", "drain", WEB, "10.2.0.11", "--wait"]);
    await waiting.says("1 active");
    await mine.kill();
    expect(await waiting.exited).toBe(0);
    expect(waiting.output).toContain("is drained");
    expect(await lvsd("status")).toContain("up, drained");
    await lvsd("undrain", WEB, RS1);
    expect(await names()).toEqual(["server1", "server2"]);
    await Promise.all(calls.map((call) => call.kill()));
  });

  test("sets a weight until it is taken back, and refuses what is none or nobody", async () => {
    await lvsd("weight", WEB, RS2, "7");
    expect(await table()).toContain("10.2.0.12:8001 -m -w 7");
    await lvsd("undrain", WEB, RS2);
    expect(await table()).toContain("10.2.0.12:8001 -m -w 1");
    expect((await bed.status("lvsd", "weight", WEB, RS2, "many")).err).toContain('"many" is no weight');
    const nobody = await bed.status("lvsd", "drain", WEB, "10.9.9.9:80");
    expect(nobody).toMatchObject({ status: 1 });
    expect(nobody.err).toContain("10.9.9.9:80");
  });

  test("plans a change and its cost without doing it", async () => {
    const calls = [await bed.call(VIP, 80), await bed.call(VIP, 80)];
    const before = await table();
    const other = bed.write("other.conf", configuration({ server2: false }));
    const plan = await bed.status("lvsd", "plan", other);
    expect(plan.status).toBe(2);
    expect(plan.out).toMatch(/^ {2}drain server \[10\.2\.0\.12\]:tcp:8001 .*: \d+ connections? may finish$/m);
    const edited = await bed.status("lvsd", "plan", bed.write("edited.conf", configuration({ weight2: 5 })));
    expect(edited.status).toBe(2);
    expect(edited.out).toContain("weight 1 -> 5");
    expect(await bed.status("lvsd", "plan", "--json")).toMatchObject({ status: 0 });
    expect(await table()).toBe(before);
    await Promise.all(calls.map((call) => call.kill()));
  });

  test("a broken configuration changes nothing and says where and why, by command and by signal", async () => {
    const before = await table();
    bed.write("keepalived.conf", configuration().replace("lb_algo rr", "lb_algo nonesuch"));
    const refused = await bed.status("lvsd", "reload");
    expect(refused.status).toBe(1);
    expect(refused.err).toMatch(/keepalived\.conf:\d+:\d+: error: .*nonesuch/);
    expect(refused.err).toContain("nothing is changed");
    expect(await table()).toBe(before);
    const told = daemon.output.split("New config failed validation").length;
    process.kill((await status()).pid, "SIGHUP");
    await until(
      "HUP is answered",
      () => daemon.output.split("New config failed validation").length,
      (count) => count > told,
    );
    expect((await status()).load.ok).toBe(false);
    expect((await bed.status("lvsd", "plan")).err).toContain("nonesuch");
    bed.write("keepalived.conf", configuration());
    expect(await lvsd("reload")).toContain("nothing had to change in the table");
  });

  test("a reload is a difference: a removed server keeps its open connection, the others feel nothing", async () => {
    const calls = [await bed.call(VIP, 80), await bed.call(VIP, 80)];
    bed.write("keepalived.conf", configuration({ server2: false }));
    await lvsd("reload");
    expect(await table()).toContain("10.2.0.12:8001 -m -w 0");
    expect(await names()).toEqual(["server1"]);
    for (const call of calls) await bed.stillServed(call);
    expect(await lvsd("status")).toMatch(/10\.2\.0\.12\]:tcp:8001 +leaving/);
    bed.write("keepalived.conf", configuration());
    await lvsd("reload");
    expect(await names()).toEqual(["server1", "server2"]);
    for (const call of calls) {
      await bed.stillServed(call);
      await call.kill();
    }
  });

  test("events are followed as they happen, as JSON too", async () => {
    const follower = bed.spawn("director", ["lvsd", "events", "--follow", "--json", "--lines", "1"]);
    await follower.says("\n");
    bed.ill("server1", true);
    await follower.says('"server-down"');
    bed.ill("server1", false);
    await follower.says('"server-up"');
    const events = follower.output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as DaemonEvent);
    const down = events.find(({ kind }) => kind === "server-down")!;
    expect(down).toMatchObject({ part: "lvs", about: WEB, server: RS1, level: expect.any(String) });
    expect(down.latencyMs).toBeGreaterThan(0);
    await follower.kill();
  });

  test("killed, it leaves rules and connections; a new one takes them over, drains included", async () => {
    const call = await bed.call(VIP, 80);
    await lvsd("weight", WEB, RS2, "3");
    const before = await table();
    const { pid } = await status();
    process.kill(pid, "SIGKILL");
    await daemon.exited;
    expect((await bed.status("lvsd", "status")).err).toContain("no daemon runs in this network namespace");
    expect(await table()).toBe(before);
    await bed.stillServed(call);
    await start("json");
    expect(await table()).toBe(before);
    await bed.stillServed(call);
    expect(server(await status(), RS2).hold).toMatchObject({ kind: "weight", weight: 3 });
    await lvsd("undrain", WEB, RS2);
    await call.kill();
  });

  test("a second daemon for the same namespace refuses to start", async () => {
    const second = await bed.status("lvsd", "run", "-f", file);
    expect(second.status).toBe(1);
    expect(second.err).toContain("already running");
  });

  test("writes keepalived's files on its signals", async () => {
    const { pid } = await status();
    process.kill(pid, "SIGUSR1");
    await until(
      "data",
      () => bed.read("keepalived_check.data"),
      (t) => t.includes("LVS state"),
    );
    expect(bed.read("keepalived_check.data")).toContain(`name = ${WEB}`);
    expect(bed.read("keepalived_parent.data")).toContain("routerId = lvtest");
    process.kill(pid, "SIGUSR2");
    process.kill(pid, 36);
    await until(
      "json",
      () => bed.read("keepalived.json"),
      (t) => t === "[]\n",
    );
    await until(
      "stats",
      () => existsSync(bed.path("keepalived.stats")),
      (there) => there,
    );
  });

  test("told to stop it removes what is its own, and only that", async () => {
    await bed.net.ipvsadm("-A -t 10.1.0.100:99 -s rr");
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(await table()).toBe("-A -t 10.1.0.100:99 -s rr\n");
    expect(existsSync(bed.path("pid"))).toBe(false);
    expect(daemon.output).toContain("Stopped lvsd");
    const lines = daemon.err
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.find(({ kind }) => kind === "adopted" || kind === "check-activated")).toMatchObject({
      level: "info",
      part: "lvs",
      about: WEB,
      time: expect.stringMatching(/Z$/),
    });
    await bed.net.ipvsadm("-C");
  });

  test("without a daemon a plan is made against the table, and other commands say that there is none", async () => {
    await bed.net.ipvsadm(`-A -t ${VIP}:80 -s rr`);
    await bed.net.ipvsadm(`-a -t ${VIP}:80 -r 10.2.0.11:8001 -m -w 4`);
    const plan = await bed.status("lvsd", "plan", file);
    expect(plan.status).toBe(2);
    expect(plan.err).toContain("no daemon runs here");
    expect(plan.out).toContain("weight 4 -> 1");
    expect(await table()).toContain("-w 4");
    await bed.net.ipvsadm("-C");
    for (const words of [["status"], ["reload"], ["stop"], ["events"], ["plan"], ["drain", "a", "b"]])
      expect(await bed.status("lvsd", ...words)).toMatchObject({
        status: 1,
        err: expect.stringContaining("no daemon runs in this network namespace"),
      });
  });

  test("a file with errors is run without the parts they are in, or with --strict not at all", async () => {
    const wrong = bed.write("wrong.conf", configuration().replace("weight 1", "weight much"));
    const strict = await bed.status("lvsd", "run", "--strict", "-f", wrong);
    expect(strict.status).toBe(2);
    expect(strict.err).toMatch(/wrong\.conf:\d+:\d+: .*much/);
    expect(await table()).toBe("");
    daemon = bed.spawn("director", ["lvsd", "run", "-f", wrong]);
    await daemon.says("Startup complete");
    expect(daemon.output).toMatch(/ error +\S+wrong\.conf:\d+:\d+: .*much/);
    expect(await table()).toContain("10.2.0.12:8001");
    expect(await bed.status("lvsd", "run", "-f", bed.path("none"))).toMatchObject({ status: 1 });
    expect(await daemon.kill("SIGTERM")).toBe(0);
  });
});
