import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";
import {
  examplesOf,
  lvsd,
  PREFIX,
  type Run,
  removeLabs,
  runDirectory,
  runLvsd,
  stable,
  updateExample,
  wordsOf,
} from "./lab-console.ts";

const namespaces = () =>
  (existsSync("/run/netns") ? readdirSync("/run/netns") : []).filter((name) => name.startsWith(PREFIX));

/** Everything a lab could leave on the machine itself. */
function machine() {
  const links = execFileSync("ip", ["-br", "link"], { encoding: "utf8" });
  return { links, namespaces: namespaces() };
}

/** What the eBPF plane leaves for the next namespace: what it found out, its lock, and the mount point of its pins. */
const LASTING = ["bpf", "ebpf-works.json", "ebpf.lock"];

function expectNothingLeft(before: ReturnType<typeof machine>) {
  const { links, namespaces } = machine();
  expect(namespaces).toEqual([]);
  expect(links).toBe(before.links);
  expect(LASTING).toEqual(expect.arrayContaining(readdirSync(runDirectory)));
  const pins = `${machineRoot()}${runDirectory}/bpf`;
  expect(existsSync(pins) ? readdirSync(pins).filter((name) => /^\d/.test(name)) : []).toEqual([]);
}

/** The answers under a command of a run, such as ["rs2", "rs1"]. */
function answered(text: string, command: string, skip = 0): string[] {
  const parts = text.split(`$ ${command}`).slice(1);
  return [...(parts[skip] ?? "").split(/^(?:== |\w+[#$] )/m)[0]!.matchAll(/^(\S+) \S+ answers /gm)].map(
    ([, who]) => who!,
  );
}

/** The hops of the first packet of a kind in a trace, as `host device direction` and the rest of the line. */
function hopsOf(text: string, kind: string): { place: string; rest: string }[] {
  const lines = text.split("\n");
  const at = lines.indexOf(kind);
  const hops: { place: string; rest: string }[] = [];
  for (const line of lines.slice(at + 1)) {
    const match = /^ +\d+ µs {2}(\S+ \S+) +(in|out) +(.*)$/.exec(line);
    if (at < 0 || match === null) break;
    hops.push({ place: `${match[1]} ${match[2]}`, rest: match[3]! });
  }
  return hops;
}

const places = (text: string, kind: string) => hopsOf(text, kind).map(({ place }) => place);
const mac = (address: string) =>
  `02:00:${address
    .split(".")
    .map((byte) => Number(byte).toString(16).padStart(2, "0"))
    .join(":")}`;

/** Each server the same number of times, no server twice in a row. */
function expectTurns(answers: readonly string[], servers: readonly string[]) {
  expect([...answers].sort()).toEqual(
    servers.flatMap((server) => Array(answers.length / servers.length).fill(server)).sort(),
  );
  for (let i = 1; i < answers.length; i++) expect(answers[i]).not.toBe(answers[i - 1]);
}

describe.skipIf(process.getuid!() !== 0)("labs", () => {
  const runs = new Map<string, Run>();
  let before: ReturnType<typeof machine>;

  /** Runs a lab with its trace, once. */
  async function traced(name: string): Promise<string> {
    const known = runs.get(name);
    if (known) return known.text;
    const run = await runLvsd("lab", name, "--trace", "--prefix", PREFIX);
    runs.set(name, run);
    expect(run.status, run.text).toBe(0);
    return run.text;
  }

  beforeAll(() => {
    expect(existsSync(lvsd), "dist/lvsd.cjs is built").toBe(true);
    before = machine();
  });

  afterAll(() => removeLabs(PREFIX));

  test("nat: three servers in turn; requests and replies pass the director, which rewrites addresses", async () => {
    const text = await traced("nat");
    expectTurns(answered(text, "curl -s http://192.168.1.100/"), ["rs1", "rs2", "rs3"]);
    expect(answered(text, "curl -s http://192.168.1.100/", 1), "rs1 is drained").not.toContain("rs1");
    expect(places(text, "SYN")).toEqual([
      "client eth0 out",
      "director eth0 in",
      "director eth1 out",
      expect.stringMatching(/^rs[23] eth0 in$/),
    ]);
    expect(places(text, "SYN+ACK (reply)")).toEqual([
      expect.stringMatching(/^rs[23] eth0 out$/),
      "director eth1 in",
      "director eth0 out",
      "client eth0 in",
    ]);
    expect(hopsOf(text, "SYN").at(-1)!.rest).toMatch(/192\.168\.1\.10:\d+ → 10\.0\.0\.[23]:80 {2}ttl 63$/);
    expect(hopsOf(text, "SYN+ACK (reply)").at(-1)!.rest).toMatch(
      / 192\.168\.1\.100:80 → 192\.168\.1\.10:\d+ /,
    );
  });

  test("dr: only the MAC changes, and the reply does not pass the director", async () => {
    const text = await traced("dr");
    expectTurns(answered(text, "curl -s http://192.168.80.200/"), ["rs1", "rs2"]);
    const [out, into, handed, arrived] = hopsOf(text, "SYN");
    expect([out!.place, into!.place, handed!.place]).toEqual([
      "client eth0 out",
      "director eth0 in",
      "director eth0 out",
    ]);
    expect(into!.rest).toContain(`${mac("192.168.80.10")} → ${mac("192.168.80.101")}`);
    expect(arrived!.rest).toMatch(
      new RegExp(
        `^${mac("192.168.80.101")} → 02:00:c0:a8:50:6[67] .*192\\.168\\.80\\.10:\\d+ → 192\\.168\\.80\\.200:80 `,
      ),
    );
    expect(places(text, "SYN+ACK (reply)")).toEqual([
      expect.stringMatching(/^rs[12] eth0 out$/),
      "client eth0 in",
    ]);
    expect(text).toMatch(/192\.168\.80\.200 dev eth0 lladdr 02:00:c0:a8:50:65 /);
  });

  test("tun: an outer header on the way to the server, none behind the tunnel's end; the reply goes straight", async () => {
    const text = await traced("tun");
    expectTurns(answered(text, "curl -s http://172.17.42.200/"), ["rs1", "rs2"]);
    const hops = hopsOf(text, "SYN");
    const outer = hops.filter(({ rest }) => rest.includes("[ipip 172.17.42.111 → 17"));
    expect(outer.map(({ place }) => place)).toContain("director eth0 out");
    expect(outer.at(-1)!.place).toMatch(/^rs[12] eth0 in$/);
    expect(hops.at(-1)!.place).toMatch(/^rs[12] tunl0 in$/);
    expect(hops.at(-1)!.rest).toMatch(/^no MAC +172\.17\.42\.110:\d+ → 172\.17\.42\.200:80 /);
    expect(places(text, "SYN+ACK (reply)").join()).not.toContain("director");
  });

  test("fullnat: the servers see local addresses of the director as their clients", async () => {
    const text = await traced("fullnat");
    expectTurns(answered(text, "curl -s http://192.168.1.100/"), ["rs1", "rs2"]);
    const seen = [...text.matchAll(/ answers (\S+)$/gm)].map(([, client]) => client);
    expect(new Set(seen)).toEqual(new Set(["10.0.0.200", "10.0.0.201"]));
    expect(hopsOf(text, "SYN").at(-1)!.rest).toMatch(/ 10\.0\.0\.20[01]:\d+ → 10\.0\.0\.[12]:80 /);
  });

  test("fwmark: one service spreads plain and TLS requests over both servers", async () => {
    const text = await traced("fwmark");
    const all = ["curl -s http://192.168.80.200/", "curl -sk https://192.168.80.200/"].flatMap((command) => [
      ...answered(text, command, 0),
      ...answered(text, command, 1),
    ]);
    expect(all.filter((server) => server === "rs1")).toHaveLength(3);
    expect(all.filter((server) => server === "rs2")).toHaveLength(3);
    expect(text).toMatch(/^FWM {2}9 rr$/m);
  });

  test("persistence: each client stays on its server, and port 0 joins HTTP and HTTPS", async () => {
    const text = await traced("persistence");
    const one = (host: string, url: string, skip: number) => {
      const parts = text.split(`${host}$ curl ${url}`).slice(1)[skip]!;
      const servers = new Set(
        [...parts.split(/^(?:== |\w+[#$] )/m)[0]!.matchAll(/^(rs\d) /gm)].map(([, server]) => server),
      );
      expect(servers.size, `${host} ${url} ${skip}`).toBe(1);
      return [...servers][0];
    };
    const [plain, secure] = ["-s http://192.168.80.200/", "-sk https://192.168.80.200/"];
    expect(one("client1", plain, 0)).not.toBe(one("client2", plain, 0));
    expect(one("client1", plain, 1), "by mark").toBe(one("client1", secure, 0));
    expect(one("client1", plain, 2), "port 0").toBe(one("client1", secure, 1));
    expect(one("client2", plain, 1), "port 0").toBe(one("client2", secure, 1));
    expect(text).toContain("TCP  192.168.80.200:80 rr persistent 360");
  });

  test("local: the director serves too, for clients outside and for itself", async () => {
    const text = await traced("local");
    expectTurns(answered(text, "curl -s http://192.168.1.100/"), ["rs1", "director"]);
    expectTurns(answered(text, "curl -s http://192.168.1.100/", 1), ["rs1", "director"]);
  });

  test("ipv6: as nat", async () => {
    const text = await traced("ipv6");
    expectTurns(answered(text, "curl -s -g 'http://[2001:db8:1::100]/'"), ["rs1", "rs2"]);
    expect(hopsOf(text, "SYN").at(-1)!.rest).toMatch(
      /\[2001:db8:1::10\]:\d+ → \[2001:db8:2::[12]\]:80 {2}ttl 63$/,
    );
  });

  test("udp: ports of their own are spread, one port stays", async () => {
    const text = await traced("udp");
    expectTurns(answered(text, "lvsd lab-ask 192.168.1.100 53 "), ["rs1", "rs2"]);
    expect(new Set(answered(text, "lvsd lab-ask 192.168.1.100 53 --from-port 5300")).size).toBe(1);
    expect(text).toContain(":5300");
  });

  test("nothing is left on the machine", () => {
    expectNothingLeft(before);
  });

  test("--keep leaves a lab up, a second run refuses, and down removes it", async () => {
    const kept = await runLvsd("lab", "dr", "--keep", "--prefix", PREFIX);
    expect(kept.status, kept.text).toBe(0);
    expect(kept.text).toContain(`ip netns exec ${PREFIX}-dr-client bash`);
    const curl = ["netns", "exec", `${PREFIX}-dr-client`, "curl", "-s", "http://192.168.80.200/"];
    expect(execFileSync("ip", curl, { encoding: "utf8" })).toMatch(/^rs[12] /);
    const again = await runLvsd("lab", "dr", "--prefix", PREFIX);
    expect(again.status).toBe(1);
    expect(again.text).toContain('lab dr is up already, or was left by a crash; "lvsd lab down" removes it');
    expect((await runLvsd("lab", "down", "--prefix", PREFIX)).text).toContain("Removed 5 namespaces");
    expectNothingLeft(before);
    expect((await runLvsd("lab", "down", "--prefix", PREFIX)).text).toBe("No lab is up.\n");
  });

  test("Ctrl-C in the middle, more than once, cleans up and exits with 130", async () => {
    const child = spawn(process.execPath, [lvsd, "lab", "nat", "--prefix", PREFIX], { detached: true });
    let told = "";
    child.stdout.on("data", (chunk) => {
      told += chunk;
      // The whole group gets the signal, as from a terminal.
      if (told.includes("== The rules") && !child.killed) process.kill(-child.pid!, "SIGINT");
    });
    const status = await new Promise((resolve) => child.once("close", resolve));
    expect(status, told).toBe(130);
    expect(told).toMatch(/\n\nInterrupted; removing the lab\.\n$/);
    expectNothingLeft(before);
  });

  test("Ctrl-C while the network is made, or between its commands, ends it as well", async () => {
    // After the drawing nothing is printed until the network is there.
    for (const [when, ms] of [
      ["NAT: ", 0],
      ["NAT: ", 150],
      ["-A -t", 1],
    ] as const) {
      const child = spawn(process.execPath, [lvsd, "lab", "nat", "--prefix", PREFIX], { detached: true });
      let told = "";
      let cut = false;
      child.stdout.on("data", (chunk) => {
        told += chunk;
        if (cut || !new RegExp(when).test(told)) return;
        cut = true;
        setTimeout(() => process.kill(-child.pid!, "SIGINT"), ms);
      });
      const status = await new Promise((resolve) => child.once("close", resolve));
      expect(status, told).toBe(130);
      expect(told).toMatch(/\n\nInterrupted; removing the lab\.\n$/);
      expectNothingLeft(before);
    }
  });

  test("an unknown lab is refused with the names of those there are", async () => {
    const { status, text } = await runLvsd("lab", "nats");
    expect(status).toBe(1);
    expect(text).toBe(
      'lvsd: there is no lab "nats"; the labs are nat, dr, tun, fullnat, fwmark, persistence, local, ipv6, udp, sorry, failover\n',
    );
  });

  const documents = [
    "README.md",
    ...readdirSync(new URL("../../docs", import.meta.url)).map((name) => `docs/${name}`),
  ];
  for (const path of documents.filter((name) => name.endsWith(".md")).sort()) {
    for (const { command, output } of examplesOf(path)) {
      const words = wordsOf(command);
      if (words === undefined) continue;
      test(`${path}: "${command}" prints what the document shows`, async () => {
        const lone = words[1]?.match(/^[a-z0-9]+$/) && words[2] === "--trace" && words.length === 3;
        const text = lone ? await traced(words[1]!) : (await runLvsd(...words, "--prefix", PREFIX)).text;
        if (process.env["LVSD_UPDATE_DOCS"]) return updateExample(path, command, text);
        expect(stable(text)).toBe(stable(output));
      });
    }
  }
});
