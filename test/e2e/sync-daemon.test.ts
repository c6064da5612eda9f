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
  const key = (text: string): void => writeFileSync(join(bed.folder, "key"), `${text}\n`, { mode: 0o600 });

  beforeAll(() => bed.up(false));
  afterEach(async () => {
    await Promise.all(running.splice(0).map((daemon) => daemon.kill("SIGTERM")));
    rmSync(join(bed.folder, "key"), { force: true });
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
    key("the key of the second director");
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
