/** The keepalived command: options, files, signals and exit statuses of the daemon that scripts and units know. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check, close, raw } from "../../src/sys/libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SOCK } from "../../src/sys/socket.ts";
import { sockaddrUn } from "../../src/sys/unix-datagram.ts";
import { DaemonBed, until } from "./daemon-bed.ts";

/** The service manager's end of the notify protocol. */
class NotifySocket {
  readonly path: string;
  readonly #fd = openSocket(AF.UNIX, SOCK.DGRAM, 0);
  readonly #bytes = new Uint8Array(new ArrayBuffer(4096));
  #text = "";

  constructor(path: string) {
    this.path = path;
    const address = sockaddrUn(path)!;
    check("bind", raw.bind(this.#fd, address, address.length));
  }

  /** Everything that was said so far. */
  heard(): string {
    for (;;) {
      const length = raw.recv(this.#fd, this.#bytes, this.#bytes.length, MSG_DONTWAIT);
      if (length < 0) return this.#text;
      this.#text += `${new TextDecoder().decode(this.#bytes.slice(0, length))}\n`;
    }
  }

  close(): void {
    close(this.#fd);
  }
}

const root = process.getuid?.() === 0;
const VIP = "10.1.0.100";

describe.skipIf(!root)("keepalived", () => {
  const bed = new DaemonBed("k");
  const file = bed.path("keepalived.conf");
  const pidFiles = ["-p", bed.path("main.pid"), "-c", bed.path("check.pid"), "-r", bed.path("vrrp.pid")];
  const configuration = (servers: readonly string[], globals = ""): string => `
global_defs {
    router_id test
    script_user root
    enable_script_security
    ${globals}
}
virtual_server ${VIP} 80 {
    delay_loop 0.3
    warmup 0
    lb_algo wrr
    lb_kind NAT
    protocol TCP
    omega
    quorum_down "${bed.path("quorum")} down"
${servers.map((server) => `    real_server 10.2.0.1${server} 8001 {\n        notify_down "${bed.path("notify")} ${server}"\n        TCP_CHECK {\n            connect_timeout 1\n        }\n    }`).join("\n")}
}
`;
  const pid = (name = "main"): number => Number(readFileSync(bed.path(`${name}.pid`), "utf8"));
  const alive = (number: number): boolean => existsSync(`/proc/${number}`);
  const table = (): Promise<string> => bed.net.ipvsadm("-Sn");

  beforeAll(async () => {
    await bed.up();
    bed.script("notify");
    bed.script("quorum");
    await Promise.all([bed.serve("server1", 8001), bed.serve("server2", 8001)]);
    bed.net.ip("director", `addr add ${VIP}/32 dev eth0`);
    bed.write("keepalived.conf", configuration(["1", "2"]));
  });
  afterAll(async () => {
    if (existsSync(bed.path("main.pid"))) process.kill(pid(), "SIGKILL");
    await bed.down();
  });

  test("goes into the background, and when the command returns everything is set up", async () => {
    await bed.command("keepalived", "-f", file, "-G", ...pidFiles);
    expect(alive(pid())).toBe(true);
    expect(pid("check")).toBe(pid());
    expect(existsSync(bed.path("vrrp.pid"))).toBe(false); // nothing of VRRP is configured
    expect(await table()).toContain("-a -t 10.1.0.100:80 -r 10.2.0.11:8001 -m -w 1");
    expect((await bed.net.get(`http://${VIP}/`, 2)).sort()).toEqual(["server1", "server2"]);
    expect(readFileSync(`/proc/${pid()}/stat`, "utf8").split(" ")[5]).toBe(String(pid())); // a session of its own
  });

  test("a second start says that it runs, and is no failure", async () => {
    const second = await bed.status("keepalived", "-n", "-l", "-G", "-f", file, ...pidFiles);
    expect(second.status).toBe(0);
    expect(second.err).toMatch(/^\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}: .*\n.*daemon is already running/s);
  });

  test("HUP reloads", async () => {
    bed.write("keepalived.conf", configuration(["1"]));
    process.kill(pid(), "SIGHUP");
    await until("server 2 drains", table, (t) => t.includes("10.2.0.12:8001 -m -w 0"));
    bed.write("keepalived.conf", configuration(["1", "2"]));
    process.kill(pid(), "SIGHUP");
    await until("server 2 is back", table, (t) => t.includes("10.2.0.12:8001 -m -w 1"));
  });

  test("TERM stops it: omega's scripts run, and table and pid files are gone", async () => {
    const main = pid();
    process.kill(main, "SIGTERM");
    await until(
      "it ended",
      () => alive(main),
      (living) => !living,
    );
    expect(await table()).toBe("");
    expect(existsSync(bed.path("main.pid"))).toBe(false);
    expect(existsSync(bed.path("check.pid"))).toBe(false);
    const lines = bed.read("trace").trim().split("\n");
    expect(lines).toEqual(expect.arrayContaining(["notify 1", "notify 2", "quorum down"]));
  });

  test("-I leaves the table when it stops; -n stays in the foreground and -d tells the configuration", async () => {
    const daemon = bed.spawn("director", ["keepalived", "-nldIG", "-f", file, ...pidFiles]);
    await daemon.says("Startup complete");
    await daemon.says(` name = [${VIP}]:tcp:80`);
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(daemon.output).toMatch(/: Stopped Keepalived v2\.2\.7\n/);
    expect(await table()).toContain("10.2.0.12:8001 -m -w 1");
    await bed.net.ipvsadm("-C");
  });

  test("startup and shutdown scripts are run and waited for; an unsafe one is refused and said to be", async () => {
    const slow = bed.script("startup", "sleep 0.5");
    const unsafe = bed.script("unsafe");
    await bed.command("chmod", "777", unsafe);
    bed.write(
      "scripts.conf",
      configuration(["1"], `startup_script "${slow} now"\n    shutdown_script "${unsafe} never"`),
    );
    const daemon = bed.spawn("director", ["keepalived", "-nlG", "-f", bed.path("scripts.conf"), ...pidFiles]);
    await daemon.says("Startup complete");
    expect(bed.read("trace")).toContain("startup now\n");
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(daemon.output).toMatch(
      /shutdown_script of the daemon: .*not run: .*unsafe is writable by everybody/,
    );
    expect(bed.read("trace")).not.toContain("unsafe never");
  });

  test("a MISC_CHECK whose script others may change is not run under enable_script_security: its server is down", async () => {
    const safe = bed.script("safe");
    const unsafe = bed.script("unsafe-check");
    await bed.command("chmod", "777", unsafe);
    const misc = (path: string): string =>
      `MISC_CHECK {\n            misc_path "${path} checked"\n            misc_timeout 5\n        }`;
    const [one, two] = configuration(["1", "2"]).split("    real_server 10.2.0.12");
    const tcp = /TCP_CHECK \{[^}]*\}/;
    bed.write(
      "misc.conf",
      `${one!.replace(tcp, misc(safe))}    real_server 10.2.0.12${two!.replace(tcp, misc(unsafe))}`,
    );
    const daemon = bed.spawn("director", ["keepalived", "-nlG", "-f", bed.path("misc.conf"), ...pidFiles]);
    await daemon.says("Removing service [10.2.0.12]:tcp:8001");
    const status = await until(
      "the safe one is up",
      () => bed.command("lvsd", "status"),
      (text) => /10\.2\.0\.11\]:tcp:8001 +up .*misc: exited with status 0/.test(text),
    );
    expect(status).toMatch(/10\.2\.0\.12\]:tcp:8001 +DOWN .*unsafe-check is writable by everybody/);
    expect(bed.read("trace")).toContain("safe checked\n");
    expect(bed.read("trace")).not.toContain("unsafe-check");
    await daemon.kill("SIGTERM");
  });

  test("runs in a network namespace, named by -s or by the file, with pid files under /run/keepalived", async () => {
    const name = bed.net.name("director");
    const pidFile = `/run/keepalived/keepalived_${name}.pid`;
    const named = bed.write("named.conf", `net_namespace ${name}\n${configuration(["1"])}`);
    for (const words of [
      ["-s", name, "-f", file],
      ["-f", named],
    ]) {
      const daemon = bed.spawn("client", ["keepalived", "-nlG", ...words]);
      await daemon.says("Startup complete");
      expect(existsSync(pidFile)).toBe(true);
      expect(await table()).toContain("10.2.0.11:8001");
      expect(JSON.parse(await bed.command("lvsd", "status", "--json"))).toMatchObject({ state: "running" });
      await daemon.kill("SIGTERM");
      expect(existsSync(pidFile)).toBe(false);
    }
  });

  test("under a service manager it tells when it is ready, reloads and stops, and feeds the watchdog", async () => {
    const socket = new NotifySocket(bed.path("notify-socket"));
    const notified = bed.write(
      "notified.conf",
      configuration(["1"], `startup_script "${bed.script("env", "env")}"`),
    );
    bed.script("env", `env >${bed.path("environment")}`);
    const daemon = bed.spawn("director", ["keepalived", "-nlG", "-f", notified, ...pidFiles], {
      NOTIFY_SOCKET: socket.path,
      WATCHDOG_USEC: "400000",
    });
    try {
      await until(
        "ready",
        () => socket.heard(),
        (t) => t.includes("READY=1\nSTATUS=1 virtual servers"),
      );
      expect(readFileSync(`/proc/${pid()}/comm`, "utf8")).toBe("keepalived\n");
      await until(
        "watchdog",
        () => socket.heard(),
        (t) => t.split("WATCHDOG=1").length > 3,
      );
      process.kill(pid(), "SIGHUP");
      await until(
        "reload",
        () => socket.heard(),
        (t) => /RELOADING=1\nMONOTONIC_USEC=\d+\n[\s\S]*READY=1/.test(t),
      );
      expect(await daemon.kill("SIGTERM")).toBe(0);
      expect(socket.heard()).toContain("STOPPING=1");
      // Scripts are not the service.
      expect(bed.read("environment")).toContain("PATH=");
      expect(bed.read("environment")).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/);
    } finally {
      socket.close();
    }
  });

  test("ends with keepalived's statuses when it cannot start", async () => {
    const missing = await bed.status("keepalived", "-nG", "-f", bed.path("none.conf"));
    expect(missing).toMatchObject({ status: 6, err: expect.stringContaining("Config files missing") });
    const nobody = await bed.status(
      "setpriv",
      "--reuid=65534",
      "--clear-groups",
      "keepalived",
      "-nlG",
      "-f",
      file,
    );
    expect(nobody.status).toBe(4);
    expect(await bed.status("keepalived", "-P", "-C")).toMatchObject({ status: 1 });
  });

  test("-t checks, in keepalived's words and with its statuses; --signum and -v answer", async () => {
    expect(await bed.status("keepalived", "-t", "-f", file)).toMatchObject({ status: 0, err: "" });
    const wrong = bed.write("wrong.conf", configuration(["1"]).replace("lb_algo wrr", "lb_alog wrr"));
    const told = await bed.status("keepalived", "-t", "-f", wrong);
    expect(told.status).toBe(5);
    expect(told.err).toMatch(/^\(Line \d+\) Unknown keyword 'lb_alog'$/m);
    await bed.status("keepalived", `-t${bed.path("test.log")}`, "-f", wrong);
    expect(bed.read("test.log")).toContain("Unknown keyword 'lb_alog'");
    expect(await bed.status("keepalived", "--signum=JSON")).toMatchObject({ status: 0, out: "36\n" });
    expect((await bed.status("keepalived", "--signum=X")).err).toBe("Unknown sigfunc X\n");
    expect((await bed.status("keepalived", "-v")).err).toMatch(/^Keepalived v2\.2\.7 /);
  });
});
