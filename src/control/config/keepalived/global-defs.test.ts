import { describe, expect, it } from "vitest";
import { codes, reading } from "./testing.ts";

const global = (lines: string) => reading(`global_defs {\n${lines}\n}\n`).wanted.global;
const instance =
  "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n10.0.0.9\n}\n}\n";

describe("global_defs", () => {
  it("has defaults, the host name among them", () => {
    expect(global("")).toEqual({
      routerId: "host.example",
      noCheckerEmails: false,
      noFaultEmails: false,
      flush: false,
      flushOnStop: "no",
      scriptSecurity: false,
      rsInitNotifies: false,
    });
  });

  it("reads mail", () => {
    const lines =
      "notification_email {\na@x b@x\nc@x\n}\nnotification_email_from l@x\nsmtp_server 10.0.0.25 26\nsmtp_helo_name me\nsmtp_connect_timeout 0\nno_email_faults\nno_checker_emails";
    expect(global(lines)).toMatchObject({
      mail: {
        to: ["a@x", "b@x", "c@x"],
        from: "l@x",
        server: { host: "10.0.0.25", port: 26 },
        helo: "me",
        connectTimeoutS: 1,
      },
      noFaultEmails: true,
      noCheckerEmails: true,
    });
  });

  it("reads what concerns the table, scripts and pipes", () => {
    const lines =
      'lvs_timeouts tcp 7200 udp 300\nlvs_flush\nlvs_flush_on_stop VS\nscript_user web www\nenable_script_security\nstartup_script "/bin/true a" root\nstartup_script_timeout 7\nnotify_fifo /run/f web\nnotify_fifo_script /bin/true\nlvs_notify_fifo /run/l\nrs_init_notifies';
    expect(global(lines)).toMatchObject({
      timeouts: { tcp: 7200, tcpFin: 0, udp: 300 },
      flush: true,
      flushOnStop: "services",
      scriptUser: { user: "web", group: "www" },
      scriptSecurity: true,
      startupScript: { command: ["/bin/true", "a"], user: "root", timeoutS: 7 },
      notifyFifo: { path: "/run/f", user: "web", script: { command: ["/bin/true"] } },
      lvsNotifyFifo: { path: "/run/l" },
      rsInitNotifies: true,
    });
  });

  it("reads how the VRRP process is scheduled", () => {
    expect(global("vrrp_rt_priority 50\nvrrp_priority -10").vrrpProcess).toEqual({
      realtimePriority: 50,
      nice: -10,
    });
    expect(global("").vrrpProcess).toBeUndefined();
  });

  it("reads namespaces and instances outside of blocks", () => {
    expect(reading("net_namespace blue\ninstance two\n").wanted.global).toMatchObject({
      netns: "blue",
      instance: "two",
    });
  });

  it("accepts what has no effect, with one notice a word", () => {
    const text =
      "global_defs {\nchecker_priority -5\nchecker_priority -6\nenable_dbus\nvrrp_rx_bufs_policy MTU\njson_version 2\n}\nuse_pid_dir\n";
    expect(codes(reading(text))).toEqual([
      "2:1 notice no-effect",
      "4:1 notice no-effect",
      "5:1 notice no-effect",
      "6:1 notice no-effect",
      "8:1 notice no-effect",
    ]);
  });
});

describe("lvs_sync_daemon", () => {
  const sync = (words: string) => reading(`global_defs {\nlvs_sync_daemon ${words}\n}\n${instance}`);

  it.each([
    ["eth0", { interface: "eth0", syncId: 0 }, []],
    ["eth0 VI", { instance: "VI", syncId: 51 }, []],
    [
      "eth0 VI id 7 maxlen 1400 port 8849 ttl 3 group 224.0.0.82",
      { syncId: 7, maxLen: 1400, port: 8849, ttl: 3, group: "224.0.0.82" },
      [],
    ],
    ["eth0 VI 9", { instance: "VI", syncId: 9 }, ["deprecated-keyword"]],
    ["eth0 51", { instance: "VI", syncId: 51 }, ["sync-id"]],
    ["eth0 77", { syncId: 77 }, ["sync-id"]],
  ])("%s", (words, expected, told) => {
    const { wanted, diagnostics } = sync(words);
    expect(wanted.global.sync).toMatchObject(expected);
    if (words === "eth0 77") expect(wanted.global.sync?.instance).toBeUndefined();
    expect(diagnostics.map(({ code }) => code)).toEqual(told);
  });

  it("that follows an unknown instance is told, and none runs", () => {
    const { wanted, diagnostics } = sync("eth0 NONE");
    expect(wanted.global.sync).toBeUndefined();
    expect(diagnostics.map(({ code }) => code)).toEqual(["undefined-reference"]);
  });
});

it("scripts without enable_script_security are told, and give keepalived -t's status 6", () => {
  const text =
    "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.1\n}\nnotify /bin/true\n}\n";
  const read = reading(text);
  expect(codes(read)).toEqual(["7:8 notice script-security-vrrp"]);
  expect(read.said).toMatchObject([{ status: 6, code: "script-security-vrrp" }]);
  expect(reading(`global_defs {\nenable_script_security\n}\n${text}`).said).toEqual([]);
});
