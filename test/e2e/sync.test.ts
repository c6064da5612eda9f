/**
 * Two directors on one LAN, on every pair of planes of ours: connections that one of them holds live on when the other takes the VIP over,
 * and again when it comes back with an empty table.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const bin = join(process.cwd(), "dist/bin");
const HOSTS = ["lan", "client", "d1", "d2", "dr", "nat", "tun"] as const;
type Host = (typeof HOSTS)[number];
const ADDRESS = { client: 2, d1: 3, d2: 4, dr: 11, nat: 12, tun: 13 } as const;
const SERVERS = { ...ADDRESS, fullnat: ADDRESS.nat } as const;
/** One VIP a forwarding method; .110 is the gateway by which the NAT server answers, .120 what it sees by full-NAT. */
const VIPS = { dr: "10.3.0.101", nat: "10.3.0.102", tun: "10.3.0.103", fullnat: "10.3.0.104" } as const;
const GATEWAY = "10.3.0.110";
const LOCAL = "10.3.0.120";
const EACH = 100;

const SERVER = `
require("node:net").createServer((s) => { s.on("data", (d) => s.write(d)); s.on("error", () => {}); })
  .listen(80, "0.0.0.0", 1024, () => console.log("ready"));
`;
/** Holds connections; "say" on standard input sends a line on each, and the number that came back is printed. */
const CLIENT = `
const net = require("node:net");
const [each, ...vips] = process.argv.slice(1);
const all = [];
let broken = 0, answered = 0, wanted = 0;
const told = () => { if (wanted > 0 && answered + broken === wanted) { console.log("answered " + answered + " broken " + broken); wanted = 0; } };
const say = () => { answered = 0; wanted = all.length; for (const s of all) if (!s.destroyed) s.write("x"); told(); };
let open = 0;
for (const vip of vips) for (let i = 0; i < Number(each); i++) {
  const s = net.connect(80, vip, () => { if (++open === all.length) console.log("open"); });
  s.on("data", () => { answered++; told(); });
  s.on("close", () => { broken++; told(); });
  s.on("error", () => {});
  all.push(s);
}
process.stdin.on("data", say);
`;

/** Answers PASV with a data connection that says "list", everything else with a 200. */
const FTP_SERVER = `
const net = require("node:net");
net.createServer((s) => {
  s.on("error", () => {});
  s.write("220 hello\\r\\n");
  s.on("data", (line) => {
    if (!/PASV/.test(line)) return s.write("200 fine\\r\\n");
    const data = net.createServer((c) => { c.on("error", () => {}); c.end("list"); data.close(); }).listen(0, "0.0.0.0", () => {
      const { port } = data.address();
      s.write("227 Entering Passive Mode (10,3,0,12," + (port >> 8) + "," + (port & 255) + ")\\r\\n");
    });
  });
}).listen(21, "0.0.0.0", () => console.log("ready"));
`;
/** Sends the lines of standard input, prints what comes back; of a passive transfer what was transferred, and from where. */
const FTP_CLIENT = `
const net = require("node:net");
const s = net.connect(21, process.argv[1]);
s.on("error", (e) => console.log("broken: " + e.code));
s.on("close", () => console.log("closed"));
s.on("data", (text) => {
  for (const line of String(text).trim().split("\\r\\n")) {
    const six = /\\((.*)\\)/.exec(line)?.[1].split(",");
    if (!six) { console.log(line); continue; }
    const [port, host] = [six[4] * 256 + Number(six[5]), six.slice(0, 4).join(".")];
    let got = "";
    net.connect(port, host).on("data", (d) => { got += d; }).on("close", () => console.log(got + " from " + host + ":" + port));
  }
});
process.stdin.on("data", (line) => s.write(String(line).trim() + "\\r\\n"));
`;

const env = {
  ...process.env,
  NODE_EXTRA_CA_CERTS: "",
  NODE_OPTIONS: "",
  PATH: `${bin}:${process.env["PATH"]}`,
};
const root = process.getuid?.() === 0;

type Plane = "engine" | "ebpf";
const PAIRS: readonly (readonly [Plane, Plane])[] = [
  ["engine", "engine"],
  // Both directions: there, and on the way back.
  ["engine", "ebpf"],
  ...(process.env["LVSD_E2E"] === "all"
    ? ([
        ["ebpf", "ebpf"],
        ["ebpf", "engine"],
      ] as const)
    : []),
];

describe.skipIf(!root).each(PAIRS)(
  "connections survive the death of their director (%s), by another (%s), and its return",
  (...pair) => {
    const planeOf = (host: Host): Plane => (host === "d2" ? pair[1] : pair[0]);
    const directory = mkdtempSync(join(tmpdir(), "lvsd-sync-"));
    const children: ChildProcess[] = [];
    const name = (host: Host): string => `lv${process.pid}${pair.map((p) => p[1]).join("")}${host}`;
    const ip = (line: string): void => void execFileSync("ip", line.split(" "), { stdio: "pipe" });
    const run = async (host: Host, line: string): Promise<string> => {
      const { stdout } = await promisify(execFile)("ip", ["netns", "exec", name(host), ...line.split(" ")], {
        env: {
          ...env,
          LVSD_RUN_DIR: directory,
          LVSD_PLANE: planeOf(host),
          LVSD_SYNC_KEY: join(directory, "key"),
        },
        timeout: 30_000,
        maxBuffer: 64 << 20,
      });
      return stdout;
    };
    const start = (
      host: Host,
      script: string,
      ...args: string[]
    ): { child: ChildProcess; line(): Promise<string> } => {
      const command = ["netns", "exec", name(host), process.execPath, "-e", script, ...args];
      const child = spawn("ip", command, { env, stdio: ["pipe", "pipe", "inherit"] });
      children.push(child);
      const lines: string[] = [];
      let wake: () => void = () => {};
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        lines.push(...text.trim().split("\n"));
        wake();
      });
      return {
        child,
        line: async () => {
          while (lines.length === 0)
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          return lines.shift()!;
        },
      };
    };
    const until = async (what: string, look: () => Promise<boolean>): Promise<void> => {
      for (const giveUpAt = Date.now() + 20_000; ; ) {
        if (await look()) return;
        if (Date.now() > giveUpAt) throw new Error(`never: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };

    const program = async (host: Host): Promise<void> => {
      for (const [method, vip] of Object.entries(VIPS) as [keyof typeof VIPS, string][]) {
        const flag = { dr: "-g", nat: "-m", tun: "-i", fullnat: "--fullnat" }[method];
        const local = method === "fullnat" ? ` --local-address ${LOCAL}` : "";
        await run(host, `ipvsadm -A -t ${vip}:80 -s rr -p 300${local}`);
        await run(host, `ipvsadm -a -t ${vip}:80 -r 10.3.0.${SERVERS[method]} ${flag}`);
      }
      await run(host, `ipvsadm -A -t ${VIPS.nat}:21 -s rr`);
      await run(host, `ipvsadm -a -t ${VIPS.nat}:21 -r 10.3.0.${ADDRESS.nat} -m`);
    };
    /** The host that has the VIPs and the gateway; everybody learns it at once. */
    const hold = (host: Host | undefined): void => {
      const addresses = [...Object.values(VIPS), GATEWAY, LOCAL];
      for (const d of ["d1", "d2"] as const) {
        for (const a of addresses) {
          try {
            ip(`-n ${name(d)} addr ${d === host ? "add" : "del"} ${a}/32 dev eth0`);
          } catch {
            // It was not there.
          }
        }
      }
      for (const h of ["client", "nat"] as const) ip(`-n ${name(h)} neigh flush dev eth0`);
    };
    const established = async (host: Host): Promise<number> =>
      (await run(host, "ipvsadm -Lnc")).match(/ESTABLISHED/g)?.length ?? 0;
    /** Everything of a director is gone at once: with an engine's process its table, on the eBPF plane what is in the kernel. */
    const die = async (host: Host): Promise<void> => {
      if (planeOf(host) === "ebpf") {
        await run(host, "lvsd planes reset");
        return;
      }
      const pid = Number(/process (\d+)/.exec(await run(host, "lvsd engine status"))![1]);
      process.kill(pid, "SIGKILL");
    };

    let client: ReturnType<typeof start>;
    let ftp: ReturnType<typeof start>;
    const ask = async (line: string): Promise<string> => {
      ftp.child.stdin!.write(`${line}\n`);
      return ftp.line();
    };
    const say = async (): Promise<string> => {
      client.child.stdin!.write("say\n");
      return client.line();
    };

    beforeAll(async () => {
      writeFileSync(join(directory, "key"), "a key that both directors have\n", { mode: 0o600 });
      for (const host of HOSTS) {
        ip(`netns add ${name(host)}`);
        ip(`-n ${name(host)} link set lo up`);
      }
      ip(`-n ${name("lan")} link add br0 type bridge`);
      ip(`-n ${name("lan")} link set br0 up`);
      for (const [host, last] of Object.entries(ADDRESS) as [keyof typeof ADDRESS, number][]) {
        ip(`-n ${name(host)} link add eth0 type veth peer name to-${host} netns ${name("lan")}`);
        ip(`-n ${name("lan")} link set to-${host} master br0 up`);
        ip(`-n ${name(host)} addr add 10.3.0.${last}/24 dev eth0`);
        ip(`-n ${name(host)} link set eth0 up`);
      }
      for (const d of ["d1", "d2"] as const)
        await run(
          d,
          "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
        );
      await run("dr", `lvsd realserver dr ${VIPS.dr}`);
      await run("tun", `lvsd realserver tun ${VIPS.tun}`);
      ip(`-n ${name("nat")} route add 10.3.0.${ADDRESS.client}/32 via ${GATEWAY} dev eth0 onlink`);
      for (const host of ["dr", "nat", "tun"] as const) await start(host, SERVER).line();
      await start("nat", FTP_SERVER).line();
      await program("d1");
      await program("d2");
      await run("d1", "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 9");
      await run("d2", "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 9");
      hold("d1");
      client = start("client", CLIENT, String(EACH), ...Object.values(VIPS));
      expect(await client.line()).toBe("open");
      ftp = start("client", FTP_CLIENT, VIPS.nat);
      expect(await ftp.line()).toBe("220 hello");
    }, 60_000);

    afterAll(async () => {
      for (const host of ["d1", "d2"] as const) {
        await run(host, "lvsd engine stop").catch(() => "");
        await run(host, "lvsd planes reset").catch(() => "");
      }
      await run("tun", `lvsd realserver tun ${VIPS.tun} --undo`).catch(() => "");
      for (const child of children) child.kill("SIGKILL");
      for (const host of HOSTS) {
        try {
          ip(`netns del ${name(host)}`);
        } catch {
          // It was not made.
        }
      }
      if (pair.includes("ebpf")) execFileSync("umount", [join(directory, "bpf")]);
      rmSync(directory, { recursive: true, force: true });
    });

    const all = { count: 4 * EACH + 1, fine: `answered ${4 * EACH} broken 0` };

    test("the backup has every connection of the master: by DR, NAT, TUN and full-NAT, with its templates", async () => {
      expect(await say()).toBe(all.fine);
      expect(await say()).toBe(all.fine);
      // Its answer grows on the way, and with it the numbers of all that follows.
      const data = await ask("PASV");
      expect(data).toMatch(/^list from 10\.3\.0\.102:\d+$/);
      const [, end] = data.split(" from ");
      await until("the data connection at the backup", async () =>
        (await run("d2", "ipvsadm -Lnc")).includes(end!),
      );
      await until("all connections at the backup", async () => (await established("d2")) === all.count);
      const templates = (await run("d2", "ipvsadm -Lnc")).match(/10\.3\.0\.2:0/g) ?? [];
      expect(templates).toHaveLength(4);
    });

    test("the master is killed: every connection goes on through the other", async () => {
      await die("d1");
      hold("d2");
      expect(await say()).toBe(all.fine);
      expect(await ask("NOOP")).toBe("200 fine");
      expect(await ask("PASV")).toMatch(/^list from 10\.3\.0\.102:\d+$/);
      expect(await ask("NOOP")).toBe("200 fine");
    });

    test("it returns, has the whole table from its peer, takes over again: still every connection goes on", async () => {
      await run("d2", "ipvsadm --stop-daemon backup");
      await run("d2", "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 9");
      await run("d1", "ipvsadm -C");
      await program("d1");
      await run("d1", "ipvsadm --stop-daemon master").catch(() => "");
      expect(await established("d1")).toBe(0);
      await run("d1", "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 9");
      await until(
        "the whole table at the returning director",
        async () => (await established("d1")) === all.count,
      );
      const told = await run("d1", "lvsd sync status");
      expect(told).toMatch(
        / {2}peer 10\.3\.0\.4: heard .*whole table .*\d+ connections there, \d+ here \([-+]?\d+\), 0 messages lost/,
      );
      hold("d1");
      expect(await say()).toBe(all.fine);
      expect(await ask("NOOP")).toBe("200 fine");
    });
  },
);
