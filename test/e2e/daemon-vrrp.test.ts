/** VRRP under the daemon: a process of its own, scripts, pipes and mail from its events, track scripts, and virtual servers that follow. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { DaemonBed, type Running, until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0;
const VIP = "10.1.0.200";

/** What keepalived 2.2.7 wrote to its JSON file for such an instance, in its order. */
const KEEPALIVED_FIELDS =
  `iname dont_track_primary skip_check_adv_addr strict_mode vmac_ifname ifp_ifname master_priority last_transition
  garp_delay garp_refresh garp_rep garp_refresh_rep garp_lower_prio_delay garp_lower_prio_rep lower_prio_no_advert
  higher_prio_send_advert vrid base_priority effective_priority vipset promote_secondaries adver_int master_adver_int accept
  nopreempt preempt_delay state wantstate version smtp_alert notify_deleted vips evips`.split(/\s+/);

describe.skipIf(!root)("VRRP under the daemon", () => {
  const bed = new DaemonBed("v");
  const file = bed.path("keepalived.conf");
  let daemon: Running;

  const configuration = (priority = 100): string => `
global_defs {
    router_id vr
    script_user root
    enable_script_security
    vrrp_version 3
    lvs_sync_daemon eth0 VI_1 id 7
    notification_email { ops@example.org }
    notification_email_from lvs@example.org
    smtp_server 127.0.0.1 2526
    smtp_connect_timeout 3
    vrrp_notify_fifo ${bed.path("fifo")}
    vrrp_notify_fifo_script ${bed.path("reader")}
}
vrrp_script chk {
    script "/usr/bin/test ! -e ${bed.path("sick")}"
    interval 1
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority ${priority}
    advert_int 0.2
    virtual_ipaddress {
        ${VIP}/32
    }
    track_script {
        chk
    }
    smtp_alert
    notify_master "${bed.path("instance")} master"
    notify_backup "${bed.path("instance")} backup"
    notify_fault "${bed.path("instance")} fault"
    notify_stop "${bed.path("instance")} stop"
    notify "${bed.path("any")} it"
}
virtual_server ${VIP} 80 {
    delay_loop 0.3
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    ha_suspend
    real_server 10.2.0.11 8001 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
`;
  const status = async (): Promise<DaemonStatus> => JSON.parse(await bed.command("lvsd", "status", "--json"));
  const state = async (): Promise<string> => (await status()).vrrp!.instances[0]!.state;
  const addresses = (): Promise<string> => bed.command("ip", "-o", "addr", "show", "dev", "eth0");
  const trace = (): string[] => bed.read("trace").trim().split("\n");

  beforeAll(async () => {
    await bed.up();
    bed.script("instance");
    bed.script("any");
    bed.script("reader", `exec cat "$1" >>${bed.path("lines")}`);
    await Promise.all([bed.serve("server1", 8001), bed.mailServer(2526)]);
    bed.write("keepalived.conf", configuration());
    // The kernel takes its time to call a new interface running.
    await until(
      "eth0 runs",
      () => bed.command("ip", "link", "show", "eth0"),
      (t) => t.includes("state UP"),
    );
    const pids = ["-p", bed.path("main.pid"), "-c", bed.path("check.pid"), "-r", bed.path("vrrp.pid")];
    daemon = bed.spawn("director", ["keepalived", "-nlDG", "-f", file, ...pids]);
    await daemon.says("Startup complete");
  });
  afterAll(() => bed.down());

  test("becomes master when nobody else is there, and tells scripts, pipe and mail in keepalived's order", async () => {
    await until("it is master", state, (now) => now === "master");
    expect(await addresses()).toContain(`${VIP}/32`);
    await until("scripts ran", trace, (lines) => lines.includes("any it INSTANCE VI_1 MASTER 100"));
    expect(trace()).toEqual([
      "instance backup",
      "any it INSTANCE VI_1 BACKUP 100",
      "instance master",
      "any it INSTANCE VI_1 MASTER 100",
    ]);
    await until(
      "the pipe tells",
      () => bed.read("lines"),
      (t) => t.includes("MASTER"),
    );
    expect(bed.read("lines")).toBe('INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\n');
    await until(
      "mail came",
      () => bed.read("mail"),
      (t) => t.includes("Entering MASTER state"),
    );
    expect(bed.read("mail")).toContain("Subject: [vr] VRRP Instance VI_1 - Entering MASTER state");
    expect(daemon.output).toContain("(VI_1) Entering MASTER STATE");
    expect(await bed.command("lvsd", "status")).toMatch(
      /VI_1 +MASTER +\S+ +100 +10\.1\.0\.1 100 +10\.1\.0\.200/,
    );
  });

  test("the virtual server is checked while the address is here (ha_suspend), and clients are served", async () => {
    const server = async () => (await status()).lvs!.virtualServers[0]!;
    await until("checks run", server, (s) => !s.suspended && s.servers[0]!.checks[0]!.state === "ok");
    expect(await bed.net.get(`http://${VIP}/`)).toEqual(["server1"]);
  });

  test("the connection sync daemon follows the instance", async () => {
    const daemons = () => bed.net.ipvsadm("-l --daemon");
    await until("master", daemons, (t) => /^master sync daemon \(mcast=eth0, syncid=7/m.test(t));
    bed.write("sick", "");
    await until("backup", daemons, (t) => /^backup sync daemon/m.test(t) && !t.includes("master"));
    await bed.command("rm", bed.path("sick"));
    await until("master again", state, (now) => now === "master");
  });

  test("a tracked script that fails makes it fault, and its recovery brings it back", async () => {
    const before = trace().length;
    bed.write("sick", "");
    await until("fault", state, (now) => now === "fault");
    expect(await addresses()).not.toContain(VIP);
    const [instance] = (await status()).vrrp!.instances;
    expect(instance!.faults.join()).toContain("chk");
    await until("suspended", status, (s) => s.lvs!.virtualServers[0]!.suspended);
    await until("scripts ran", trace, (lines) => lines.length >= before + 2);
    expect(trace().slice(before)).toEqual(["instance fault", "any it INSTANCE VI_1 FAULT 100"]);
    await bed.command("rm", bed.path("sick"));
    await until("master again", state, (now) => now === "master");
  });

  test("the VRRP process killed is started again, hears what is tracked, and takes the address back", async () => {
    const pid = Number(readFileSync(bed.path("vrrp.pid"), "utf8"));
    expect((await status()).vrrpPid).toBe(pid);
    process.kill(pid, "SIGKILL");
    const again = () => Number(readFileSync(bed.path("vrrp.pid"), "utf8"));
    await until("another process", again, (now) => now !== pid);
    await until("master again", state, (now) => now === "master");
    expect(await addresses()).toContain(VIP);
    expect(daemon.output).toContain("the VRRP process ended by itself (SIGKILL); it is started again");
  });

  test("a reload changes the priority without leaving the state; plan tells it first", async () => {
    bed.write("keepalived.conf", configuration(150));
    expect((await bed.status("lvsd", "plan")).out).toContain("change VRRP instance VI_1: priority");
    await bed.command("lvsd", "reload");
    const { vrrp } = await until("priority", status, (s) => s.vrrp!.instances[0]!.priority === 150);
    expect(vrrp!.instances[0]!.state).toBe("master");
    expect(await addresses()).toContain(VIP);
  });

  test("its counters and its state come in keepalived's files", async () => {
    const { pid } = await status();
    process.kill(pid, "SIGUSR2");
    const stats = await until(
      "stats",
      () => bed.read("keepalived.stats"),
      (t) => t.includes("Became master"),
    );
    expect(stats).toMatch(/^VRRP Instance: VI_1\n {2}Advertisements:\n {4}Received: 0\n {4}Sent: [1-9]/);
    process.kill(pid, 36);
    const json = await until(
      "json",
      () => bed.read("keepalived.json"),
      (t) => t.endsWith("\n"),
    );
    const [{ data, stats: counters }] = JSON.parse(json);
    expect(Object.keys(data)).toEqual(KEEPALIVED_FIELDS);
    expect(data).toMatchObject({
      iname: "VI_1",
      state: 2,
      vrid: 51,
      effective_priority: 150,
      adver_int: 0.2,
    });
    expect(data.vips).toEqual([`${VIP} dev eth0 scope global set`]);
    expect(counters.advert_sent).toBeGreaterThan(0);
  });

  test("stopped, it tells so and takes the address back", async () => {
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(await addresses()).not.toContain(VIP);
    expect(trace().slice(-2)).toEqual(["instance stop", "any it INSTANCE VI_1 STOP 150"]);
    expect(existsSync(bed.path("vrrp.pid"))).toBe(false);
    expect(await bed.net.ipvsadm("-Sn")).toBe("");
  });
});
