/**
 * lvsd's VRRP with Debian's keepalived as the other router, in every role and every dress. Every case has namespaces of its own, and all run at
 * once.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { VrrpInstanceSpec } from "../../src/control/vrrp/spec.ts";
import { syncGroup, virtualAddress, vrrpInstance, vrrpSpec } from "../../src/testkit/vrrp-spec.ts";
import { Bed, KEEPALIVED, PROGRAM, pause, until } from "./vrrp-bed.ts";

const has = (tool: string): boolean => spawnSync("which", [tool]).status === 0;
const missing = ["ip", KEEPALIVED, "nft", "tshark"].filter((tool) => !has(tool));
const why =
  process.getuid?.() !== 0
    ? "root"
    : !existsSync(PROGRAM)
      ? "npm run build"
      : missing.length > 0
        ? missing.join(", ")
        : "";
if (why !== "") console.warn(`vrrp.test.ts: skipped, needs ${why}`);

// They wait for one another's timers more than they work.
vi.setConfig({ maxConcurrency: 8 });

const VIP = "192.0.2.100";
const FAST = { version: 3, advertIntMs: 300 } as const;
const TIMEOUT = 110_000;

/** Runs a test with a bed of its own, which is taken away whatever happens. */
const on = (body: (bed: Bed) => Promise<void>) => async (): Promise<void> => {
  const bed = await Bed.make();
  try {
    await body(bed);
  } finally {
    await bed.remove();
  }
};

const instance = (priority: number, over: Partial<VrrpInstanceSpec> = {}): VrrpInstanceSpec =>
  vrrpInstance({ priority, ...over });

/** What both sides must agree on, and what differs by side. */
interface Dress {
  readonly both: Partial<VrrpInstanceSpec>;
  readonly a?: Partial<VrrpInstanceSpec>;
  readonly b?: Partial<VrrpInstanceSpec>;
  readonly address?: string;
}

const DRESSES: Record<string, Dress> = {
  "version 2": { both: {} },
  "version 3": { both: FAST },
  "version 3 over IPv6": { both: { family: 6, ...FAST }, address: "2001:db8::100" },
  "a password": { both: { auth: { type: "pass", password: "1111" } } },
  "an authentication header": { both: { auth: { type: "ah", password: "secret" } } },
  "unicast, version 2 with a password": {
    both: { auth: { type: "pass", password: "1111" } },
    a: { sourceAddress: "192.0.2.1", peers: [{ address: "192.0.2.2" }] },
    b: { sourceAddress: "192.0.2.2", peers: [{ address: "192.0.2.1" }] },
  },
  "unicast, version 3": {
    both: FAST,
    a: { sourceAddress: "192.0.2.1", peers: [{ address: "192.0.2.2" }] },
    b: { sourceAddress: "192.0.2.2", peers: [{ address: "192.0.2.1" }] },
  },
  "unicast over IPv6": {
    both: { family: 6, ...FAST },
    a: { sourceAddress: "2001:db8::1", peers: [{ address: "2001:db8::2" }] },
    b: { sourceAddress: "2001:db8::2", peers: [{ address: "2001:db8::1" }] },
    address: "2001:db8::100",
  },
};

describe.skipIf(why !== "").concurrent("with keepalived", () => {
  describe.concurrent.each(Object.entries(DRESSES))("%s", (_, dress) => {
    const address = dress.address ?? VIP;
    const ours = (priority: number) => instance(priority, { ...dress.both, ...dress.a });
    const theirs = (priority: number) => instance(priority, { ...dress.both, ...dress.b });

    test.concurrent(
      "we are master; it takes over when we resign, and gives way when we are back",
      on(async (bed) => {
        const k = bed.keepalived(bed.b, [theirs(100)]);
        let l = bed.lvsd(bed.a, [ours(150)]);
        await until("we are master", () => l.state() === "master");
        expect(await bed.has(bed.a, address)).toBe(true);
        // It may have been quicker, and then it has given way by now.
        await until("keepalived is backup", () => k.state() === "backup");
        const stopped = performance.now();
        await l.stop();
        expect(await bed.has(bed.a, address)).toBe(false);
        await until("keepalived takes over", () => k.state() === "master");
        // The skew, not the whole down time.
        expect(performance.now() - stopped).toBeLessThan(3000);
        l = bed.lvsd(bed.a, [ours(150)]);
        await until("keepalived gives way", () => k.state() === "backup" && l.state() === "master");
        await until("it has no address", async () => !(await bed.has(bed.b, address)));
        expect(l.events.filter((e) => e.kind === "refused")).toEqual([]);
        expect(k.log).not.toMatch(/invalid|mismatch|unexpected|too (long|short)|not present/i);
      }),
      TIMEOUT,
    );

    test.concurrent(
      "it is master; we take over when it resigns or dies, and give way when it is back",
      on(async (bed) => {
        let k = bed.keepalived(bed.b, [theirs(150)]);
        const l = bed.lvsd(bed.a, [ours(100)]);
        await until("keepalived is master", () => k.state() === "master");
        expect(l.state()).toBe("backup");
        await k.stop();
        await until("we take over", () => l.state() === "master");
        expect(l.said("priority 0")).toBe(true);
        expect(await bed.has(bed.a, address)).toBe(true);
        k = bed.keepalived(bed.b, [theirs(150)]);
        await until("we give way", () => k.state() === "master" && l.state() === "backup");
        await until("we have no address", async () => !(await bed.has(bed.a, address)));
        await k.kill();
        await until("we take over from the dead", () => l.state() === "master");
        expect(l.events.filter((e) => e.kind === "refused")).toEqual([]);
      }),
      TIMEOUT,
    );
  });

  test.concurrent(
    "nopreempt: whoever is master stays, on either side",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [instance(100, FAST)]);
      await until("keepalived is master", () => k.state() === "master");
      const l = bed.lvsd(bed.a, [instance(150, { ...FAST, preempt: false })]);
      await until("we are backup", () => l.state() === "backup");
      await pause(3000);
      expect([l.state(), k.state()]).toEqual(["backup", "master"]);
      await k.stop();
      await until("we take over", () => l.state() === "master");
      const again = bed.keepalived(bed.b, [instance(200, { ...FAST, preempt: false })]);
      await until("keepalived is backup", () => again.state() === "backup");
      await pause(3000);
      expect([l.state(), again.state()]).toEqual(["master", "backup"]);
    }),
    TIMEOUT,
  );

  test.concurrent(
    "a sync group moves as one when one of its interfaces fails, and comes back",
    on(async (bed) => {
      const two = (priority: number) => [
        instance(priority, { ...FAST, name: "V0" }),
        instance(priority, {
          ...FAST,
          name: "V1",
          routerId: 52,
          interface: "v1",
          addresses: [virtualAddress("198.51.100.100/24", { device: "v1" })],
        }),
      ];
      const k = bed.keepalived(bed.b, two(100), "vrrp_sync_group G {\n group {\n V0\n V1\n }\n}");
      const l = bed.lvsd(bed.a, vrrpSpec(two(150), { groups: [syncGroup("G", ["V0", "V1"])] }));
      await until("we are master of both", () => l.state("V0") === "master" && l.state("V1") === "master");
      expect(await bed.has(bed.a, "198.51.100.100", "v1")).toBe(true);
      await bed.in(bed.a, "ip", "addr", "flush", "dev", "v1", "scope", "global");
      await until("both fail", () => l.state("V0") === "fault" && l.state("V1") === "fault");
      await until(
        "keepalived takes both over",
        () => k.state("V0") === "master" && k.state("V1") === "master",
      );
      expect(await bed.has(bed.a, VIP)).toBe(false);
      await bed.in(bed.a, "ip", "addr", "add", "198.51.100.1/24", "dev", "v1");
      await until("we have both back", () => l.state("V0") === "master" && l.state("V1") === "master");
      await until("keepalived gave both up", () => k.state("V0") === "backup" && k.state("V1") === "backup");
    }),
    TIMEOUT,
  );

  test.concurrent(
    "a failing script lowers the priority below the other's, a good one raises it again",
    on(async (bed) => {
      const flag = join(bed.directory, "bad");
      const at = { file: "t", line: 1, column: 1 };
      const script = {
        name: "chk",
        script: { command: ["/usr/bin/test", "!", "-e", flag] },
        intervalMs: 500,
        timeoutMs: 0,
        weight: -60,
        reverse: false,
        rise: 2,
        fall: 2,
        at,
      };
      const track = { trackScripts: [{ name: "chk", weight: -60, reverse: false }] };
      const k = bed.keepalived(bed.b, [instance(100, FAST)]);
      const l = bed.lvsd(bed.a, vrrpSpec([instance(150, { ...FAST, ...track })], { scripts: [script] }));
      await until("we are master", () => l.state() === "master");
      await bed.in(bed.a, "touch", flag);
      await until("keepalived preempts", () => k.state() === "master" && l.state() === "backup");
      expect(l.said("Changing effective priority from 150 to 90")).toBe(true);
      await bed.in(bed.a, "rm", flag);
      await until("we preempt", () => l.state() === "master" && k.state() === "backup");
    }),
    TIMEOUT,
  );

  test.concurrent.each([
    ["we are the better one", 150, 100],
    ["it is the better one", 100, 150],
  ])(
    "split and heal: %s",
    async (_, ours, theirs) =>
      on(async (bed) => {
        // No announcements but those of the healing; a keepalived that gives way says so only when told to.
        const quiet = { ...FAST, announce: { ...vrrpInstance().announce, delayMs: 0 } };
        const k = bed.keepalived(bed.b, [instance(theirs, { ...quiet, higherPrioSendAdvert: true })]);
        const l = bed.lvsd(bed.a, [instance(ours, quiet)]);
        await until("somebody is master", () => l.state() === "master" || k.state() === "master");
        await bed.split(true);
        await until("both are master", () => l.state() === "master" && k.state() === "master");
        const announcements = k.log.split("Sending gratuitous ARP on v0").length;
        const frames = capture(bed, bed.a, "arp or proto 112");
        await frames.ready;
        await bed.split(false);
        const better = ours > theirs;
        await until("one is", () => (better ? k.state() === "backup" : l.state() === "backup"));
        expect(better ? l.state() : k.state()).toBe("master");
        await until("the other has no address", async () => !(await bed.has(better ? bed.b : bed.a, VIP)));
        // The winner announces again: keepalived, too, because our last word told it that there were two.
        if (better)
          await until("we announce", () => frames.lines.some((x) => x.includes("tell 192.0.2.100")));
        else
          await until(
            "keepalived announces",
            () => k.log.split("Sending gratuitous ARP on v0").length > announcements,
          );
        await frames.stop();
      })(),
    TIMEOUT,
  );

  test.concurrent(
    "a wrong password makes two masters, and both say why",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [instance(100, { auth: { type: "pass", password: "right" } })]);
      const l = bed.lvsd(bed.a, [instance(150, { auth: { type: "pass", password: "wrong" } })]);
      await until("both are master", () => l.state() === "master" && k.state() === "master");
      await until("we complain", () => l.said("(VI) received an invalid passwd!"));
      expect(l.events.filter((e) => e.kind === "refused")).toHaveLength(1);
      await until("it complains", () => k.log.includes("received an invalid passwd!"));
    }),
    TIMEOUT,
  );

  test.concurrent(
    "equal priorities: the higher address wins, and the other is named",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [instance(100, FAST)]);
      const l = bed.lvsd(bed.a, [instance(100, FAST)]);
      await until("somebody is master", () => l.state() === "master" || k.state() === "master");
      await bed.split(true);
      await until("both are master", () => l.state() === "master" && k.state() === "master");
      await bed.split(false);
      await until("we give way", () => l.state() === "backup");
      const duplicate = l.events.find((e) => e.kind === "duplicate");
      expect(duplicate).toMatchObject({ priority: 100, from: "192.0.2.2" });
    }),
    TIMEOUT,
  );

  test.concurrent(
    "a process that was stopped and goes on steps back instead of fighting",
    on(async (bed) => {
      const k = bed.keepalived(bed.b, [instance(100, FAST)]);
      const l = bed.lvsd(bed.a, [instance(150, FAST)]);
      await until("we are master", () => l.state() === "master");
      const status = await l.status();
      expect(status.instances[0]).toMatchObject({ state: "master", master: "192.0.2.1", priority: 150 });
      l.child.kill("SIGSTOP");
      await until("keepalived takes over", () => k.state() === "master");
      await pause(1000);
      const before = l.events.length;
      l.child.kill("SIGCONT");
      await until("we step back", () =>
        l.events.slice(before).some((e) => e.kind === "state" && e.to === "backup"),
      );
      const first = l.events.slice(before).find((e) => e.kind === "state");
      expect(first).toMatchObject({ to: "backup" });
      expect(l.events.slice(before).some((e) => e.kind === "gap")).toBe(true);
      await until("we win the next election", () => l.state() === "master" && k.state() === "backup");
    }),
    TIMEOUT,
  );
});

describe.skipIf(why !== "").concurrent("on the host", () => {
  test.concurrent(
    "what was there before stays, what a killed process left is taken back, -V keeps",
    on(async (bed) => {
      const two = [virtualAddress("192.0.2.100/24"), virtualAddress("192.0.2.101/24")];
      const spec = [instance(150, { ...FAST, addresses: two })];
      await bed.in(bed.a, "ip", "addr", "add", "192.0.2.101/24", "dev", "v0");
      let l = bed.lvsd(bed.a, spec);
      await until("master", () => l.state() === "master");
      expect(l.events.some((e) => e.kind === "address" && e.address === "192.0.2.101")).toBe(true);
      await l.stop();
      expect(await bed.has(bed.a, "192.0.2.100")).toBe(false);
      expect(await bed.has(bed.a, "192.0.2.101")).toBe(true);
      l = bed.lvsd(bed.a, spec);
      await until("master", () => l.state() === "master");
      await l.stop("SIGKILL");
      expect(await bed.has(bed.a, "192.0.2.100")).toBe(true);
      l = bed.lvsd(bed.a, spec, "--keep");
      await until("backup", () => l.state() === "backup");
      expect(await bed.has(bed.a, "192.0.2.100")).toBe(false);
      await until("master", () => l.state() === "master");
      await l.stop();
      expect(await bed.has(bed.a, "192.0.2.100")).toBe(true);
      expect(await bed.has(bed.a, "192.0.2.101")).toBe(true);
    }),
    TIMEOUT,
  );

  test.concurrent(
    "excluded addresses, routes and rules are set by a master and taken back; what somebody removes comes back",
    on(async (bed) => {
      const at = { file: "t", line: 1, column: 1 };
      const route = (words: string) => ({ family: 4 as const, words: words.split(" "), noTrack: false, at });
      const l = bed.lvsd(bed.a, [
        instance(150, {
          ...FAST,
          excluded: [virtualAddress("203.0.113.9", { label: "v0:x" }), virtualAddress("2001:db8::99")],
          routes: [route("10.9.0.0/16 via 192.0.2.2 dev v0 table 77")],
          rules: [route("from 10.9.0.0/16 table 77 priority 1234")],
        }),
      ]);
      const there = async () => ({
        addresses: (await bed.has(bed.a, "203.0.113.9")) && (await bed.has(bed.a, "2001:db8::99")),
        route: (await bed.in(bed.a, "ip", "route", "show", "table", "all")).includes("10.9.0.0/16"),
        rule: (await bed.in(bed.a, "ip", "rule")).includes("1234"),
      });
      const all = { addresses: true, route: true, rule: true };
      const none = { addresses: false, route: false, rule: false };
      const is = (wanted: object) => async () => JSON.stringify(await there()) === JSON.stringify(wanted);
      await until("everything is set", is(all));
      expect(await bed.in(bed.a, "ip", "-6", "addr", "show", "dev", "v0", "deprecated")).toContain(
        "2001:db8::99/128",
      );
      await bed.in(bed.a, "ip", "addr", "del", "203.0.113.9/32", "dev", "v0");
      await until("it is noticed", () => l.said("203.0.113.9 was removed by somebody"));
      await until("everything is back", is(all));
      await bed.in(bed.a, "ip", "route", "del", "10.9.0.0/16", "table", "77");
      await until("it is noticed", () => l.said("a virtual route or rule was removed by somebody"));
      await until("everything is back", is(all));
      await l.stop();
      await until("everything is gone", is(none));
    }),
    TIMEOUT,
  );

  test.concurrent(
    "an interface that goes down is a fault, and no more when it is up again",
    on(async (bed) => {
      const l = bed.lvsd(bed.a, [instance(150, FAST)]);
      await until("master", () => l.state() === "master");
      await bed.in(bed.b, "ip", "link", "set", "v0", "down"); // no carrier on ours
      await until("fault", () => l.state() === "fault");
      expect(l.events.some((e) => e.kind === "state" && e.reason === "interface v0 is down")).toBe(true);
      await bed.in(bed.b, "ip", "link", "set", "v0", "up");
      await until("master again", () => l.state() === "master");
    }),
    TIMEOUT,
  );

  test.concurrent(
    "an interface that is deleted is a fault, and none when it is made again",
    on(async (bed) => {
      const l = bed.lvsd(bed.a, [instance(150, { ...FAST, dontTrackPrimary: true })]);
      await until("master", () => l.state() === "master");
      await bed.in(bed.a, "ip", "link", "del", "v0");
      await until("fault", () => l.state() === "fault");
      expect(l.events.some((e) => e.kind === "state" && e.reason === "interface v0 does not exist")).toBe(
        true,
      );
      await bed.in(bed.a, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "other");
      for (const device of ["v0", "other"]) await bed.in(bed.a, "ip", "link", "set", device, "up");
      await bed.in(bed.a, "ip", "addr", "add", "192.0.2.1/24", "dev", "v0");
      await until("master again", () => l.state() === "master");
      expect(await bed.has(bed.a, VIP)).toBe(true);
      const frames = capture(bed, bed.a, "proto 112");
      await frames.ready;
      await until("it speaks", () => frames.lines.some((line) => line.includes("192.0.2.1 > 224.0.0.18")));
      await frames.stop();
    }),
    TIMEOUT,
  );

  test.concurrent(
    "no_accept: the address answers neighbours, but takes no packets",
    on(async (bed) => {
      // Nobody listens: a host that takes the packet refuses, one that drops it lets us wait.
      const answers = (address: string, seconds = "10") =>
        bed.in(bed.b, "timeout", seconds, "bash", "-c", `</dev/tcp/${address}/9`).then(
          () => true,
          (error: { code: number }) => error.code !== 124,
        );
      const l = bed.lvsd(bed.a, [instance(150, { ...FAST, accept: false })]);
      await until("master", () => l.state() === "master");
      expect(await answers("192.0.2.1")).toBe(true);
      expect(await answers(VIP, "1")).toBe(false);
      expect(await bed.in(bed.b, "ip", "neigh", "show", VIP)).toMatch(/lladdr/);
      await l.stop();
      const open = bed.lvsd(bed.a, [instance(150, FAST)]);
      await until("master", () => open.state() === "master");
      expect(await answers(VIP)).toBe(true);
    }),
    TIMEOUT,
  );

  test.concurrent(
    "a reload changes a master in place",
    on(async (bed) => {
      const before = instance(150, FAST);
      const l = bed.lvsd(bed.a, [before]);
      await until("master", () => l.state() === "master");
      const states = l.events.filter((e) => e.kind === "state").length;
      const after = {
        ...before,
        addresses: [virtualAddress("192.0.2.100/24"), virtualAddress("192.0.2.102/24")],
      };
      writeFileSync(l.file, JSON.stringify(vrrpSpec([after])));
      l.child.kill("SIGHUP");
      await until("the new address", () => bed.has(bed.a, "192.0.2.102"));
      writeFileSync(l.file, JSON.stringify(vrrpSpec([before])));
      l.child.kill("SIGHUP");
      await until("it is gone", async () => !(await bed.has(bed.a, "192.0.2.102")));
      expect(l.events.filter((e) => e.kind === "state")).toHaveLength(states);
      expect(await bed.has(bed.a, VIP)).toBe(true);
    }),
    TIMEOUT,
  );

  test.concurrent(
    "tshark finds nothing wrong with what we send",
    on(async (bed) => {
      const frames = capture(bed, bed.b, "ether src host 02:00:00:00:00:0a");
      await bed.in(bed.a, "ip", "link", "set", "v0", "address", "02:00:00:00:00:0a");
      await frames.ready;
      const l = bed.lvsd(bed.a, [
        instance(150, { name: "A", routerId: 1 }),
        instance(150, { name: "B", routerId: 2, auth: { type: "pass", password: "1111" } }),
        instance(150, { name: "C", routerId: 3, auth: { type: "ah", password: "secret" } }),
        instance(150, { name: "D", routerId: 4, ...FAST, addresses: [virtualAddress("192.0.2.104/24")] }),
        instance(150, { name: "E", routerId: 5, family: 6, ...FAST }),
      ]);
      await until("all are master", () => "ABCDE".split("").every((n) => l.state(n) === "master"));
      await pause(1500);
      await l.stop();
      await frames.stop();
      const text = execFileSync(
        "tshark",
        [
          "-n",
          "-r",
          frames.file,
          "-o",
          "ip.check_checksum:TRUE",
          "-V",
          "-Y",
          "vrrp or arp or icmpv6.type == 136",
        ],
        { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 26 },
      );
      expect(text).not.toMatch(/malformed|incorrect|bad checksum|checksum status: bad/i);
      for (const words of [
        "Virtual Router Redundancy Protocol",
        "Auth Type: Simple Text Authentication",
        "Authentication Header",
        "Priority: 150",
        "Priority: 0",
        "Virtual Rtr ID: 5",
        "Neighbor Advertisement",
        "Address Resolution Protocol",
      ])
        expect(text).toContain(words);
      expect(text.match(/\[Checksum Status: Good\]/g)!.length).toBeGreaterThan(10);
    }),
    TIMEOUT,
  );
});

/** tcpdump in a namespace: into a file, and its lines. */
function capture(bed: Bed, ns: string, filter: string) {
  const file = join(bed.directory, "capture.pcap");
  const args = [
    "netns",
    "exec",
    ns,
    "tcpdump",
    "-n",
    "-l",
    "-U",
    "--immediate-mode",
    "-i",
    "v0",
    "-w",
    file,
    "--print",
    ...filter.split(" "),
  ];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => lines.push(...chunk.toString().split("\n")));
  const ready = new Promise<void>((resolve) => child.stderr.on("data", () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    await gone;
  };
  return { file, lines, ready, stop };
}
