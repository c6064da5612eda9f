/** `lvs_sync_daemon` in its forms, and the waiting for a peer's table, under `lvsd run`. */
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Running, until } from "./daemon-bed.ts";
import { type Director, SyncBed } from "./sync-bed.ts";

const root = process.getuid?.() === 0;

describe.skipIf(!root)("lvs_sync_daemon under lvsd run", () => {
  const bed = new SyncBed("c");
  const running: Running[] = [];
  const run = (director: Director, ...more: string[]): Running => {
    const daemon = bed.lvsd(director, ...more);
    running.push(daemon);
    return daemon;
  };
  const daemons = (director: Director): Promise<string> => bed.run(director, "ipvsadm -l --daemon");
  const shows = (director: Director, looks: (text: string) => boolean): Promise<string> =>
    until(`the daemons of ${director}`, () => daemons(director), looks);
  const key = (text: string, file = "key"): void =>
    writeFileSync(join(bed.folder, file), `${text}\n`, { mode: 0o600 });

  /** A program that sends the group of the daemons: garbage, a cut message, another id's, and one with a state that does not exist. */
  const hostile = (): string => {
    const entry = "0006002400000000000103e80050005000000000000003840a0300020a0300650a03000b";
    const unknownState = entry.replace("00010", "00990");
    const messages = [
      "ff",
      `0004002c01010000${entry}`.slice(0, -2),
      `0005002c01010000${entry}`,
      `0004002c01010000${unknownState}`,
    ];
    const path = join(bed.folder, "hostile.cjs");
    writeFileSync(
      path,
      `const s = require("node:dgram").createSocket("udp4");
      s.bind(0, "10.3.0.2", async () => {
        s.setMulticastInterface("10.3.0.2");
        for (const m of ${JSON.stringify(messages)}) await new Promise((sent) => s.send(Buffer.from(m, "hex"), 8848, "224.0.0.81", sent));
        s.close();
      });`,
    );
    return path;
  };

  beforeAll(() => bed.up(false));
  afterEach(async () => {
    await Promise.all(running.splice(0).map((daemon) => daemon.kill("SIGTERM")));
    for (const file of ["key", "key-d2"]) rmSync(join(bed.folder, file), { force: true });
  });
  afterAll(() => bed.down());

  test("without an instance both daemons run on both, and each has what the other's clients opened", async () => {
    for (const d of ["d1", "d2"] as const) {
      bed.configure(d, { vrrp: false, sync: "id 4" });
      await run(d).says("Startup complete");
      expect(await daemons(d)).toMatch(/master sync daemon \(mcast=eth0, syncid=4[\s\S]*backup sync daemon/);
    }
    bed.take("d1");
    const count = await bed.open(10);
    for (let i = 0; i < 2; i++) expect(await bed.say()).toBe(`answered ${count} broken 0`);
    await bed.has("d2", count);
    // What nobody sent who should: it is counted, and changes nothing.
    await bed.run("client", `${process.execPath} ${hostile()}`);
    await until(
      "every hostile message is counted",
      async () => (await bed.status("d2")).sync!.backup!,
      ({ refused, ignored }) => refused === 3 && ignored === 1,
    );
    expect(await bed.run("d2", "lvsd status")).toMatch(/, 3 messages refused, 1 connections ignored$/m);
    await bed.has("d2", count);
    bed.take("d2");
    for (let i = 0; i < 2; i++) expect(await bed.say()).toBe(`answered ${count} broken 0`);
    bed.take(undefined);
    await bed.hangUp();
  });

  test("the old form, an instance and a number: the role follows the instance; no key, no waiting", async () => {
    bed.configure("d1", { priority: 150, sync: "VI_1 7" });
    bed.configure("d2", { priority: 100, sync: "VI_1 7" });
    const first = run("d1");
    await bed.becomes("d1", "master");
    run("d2");
    await bed.becomes("d2", "backup");
    expect(first.output).not.toContain("VRRP waits");
    await shows("d1", (t) => /^master sync daemon \(mcast=eth0, syncid=7/m.test(t) && !t.includes("backup"));
    await shows("d2", (t) => /^backup sync daemon \(mcast=eth0, syncid=7/m.test(t) && !t.includes("master"));
    // Both become the other while they run, and lose nothing: the table stays.
    const count = await bed.open(10);
    for (let i = 0; i < 2; i++) expect(await bed.say()).toBe(`answered ${count} broken 0`);
    bed.configure("d1", { priority: 50, sync: "VI_1 7" });
    await bed.run("d1", "lvsd reload");
    await bed.becomes("d2", "master");
    expect(await bed.say()).toBe(`answered ${count} broken 0`);
    expect(await bed.established("d1")).toBe(count);
    await shows("d2", (t) => /^master sync daemon/m.test(t) && !t.includes("backup"));
    await shows("d1", (t) => /^backup sync daemon/m.test(t) && !t.includes("master"));
    await bed.hangUp();
  });

  test("the short form, a number alone, follows the instance with that router id", async () => {
    bed.configure("d1", { sync: "51" });
    run("d1");
    await bed.becomes("d1", "master");
    await shows("d1", (t) => /^master sync daemon \(mcast=eth0, syncid=51/m.test(t));
  });

  test("a peer with another key is waited for until the limit, and named", async () => {
    key("the key of the first director");
    bed.configure("d1", { priority: 150 });
    bed.configure("d2", { priority: 100 });
    run("d1", "--sync-wait", "1");
    await bed.becomes("d1", "master");
    await shows("d1", (t) => !t.includes("backup"));
    key("the key of the second director", "key-d2");
    // An engine keeps to the file that it was started with.
    await bed.run("d2", "lvsd engine stop");
    const second = run("d2", "--sync-wait", "2");
    await second.says("the connection table of 10.3.0.3 is not here after");
    expect(second.output).toMatch(/: 10\.3\.0\.3 ended the connection: it has another key; VRRP starts/);
    await bed.becomes("d2", "backup");
  });

  test("stopped while it waits it ends at once, and takes no address", async () => {
    key("a key of some directors");
    bed.configure("d1", { priority: 150 });
    const daemon = run("d1");
    await daemon.says("VRRP waits for the connection table of a peer");
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(daemon.output).not.toContain("MASTER STATE");
  });

  test("lvsd sync key makes a key that only root reads, tells keys apart, and writes over none", async () => {
    const path = join(bed.folder, "made");
    const said = await bed.run("d1", `lvsd sync key --generate ${path}`);
    expect(said).toMatch(/made: fingerprint [0-9a-f]{16}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await bed.run("d2", `lvsd sync key ${path}`)).toBe(said);
    await expect(bed.run("d1", `lvsd sync key --generate ${path}`)).rejects.toThrow(/EEXIST/);
    await expect(bed.run("d1", `lvsd sync key ${path}x`)).rejects.toThrow(/is not there/);
    expect(existsSync(`${path}x`)).toBe(false);
  });
});
