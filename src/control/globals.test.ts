import { describe, expect, test } from "vitest";
import { FakeClock, settled } from "../testkit/fake-clock.ts";
import { FakePlane } from "../testkit/fake-plane.ts";
import { configuration } from "../testkit/supervisor-bed.ts";
import { Globals } from "./globals.ts";
import type { GlobalSpec, SyncDaemonSpec } from "./wanted.ts";

const SYNC: SyncDaemonSpec = {
  interface: "eth0",
  instance: "VI_1",
  syncId: 9,
  maxLen: 0,
  port: 0,
  ttl: 0,
  group: "",
};

const global = (sync?: SyncDaemonSpec): GlobalSpec => ({
  ...configuration([]).global,
  ...(sync && { sync }),
});

class Bed {
  readonly clock = new FakeClock();
  readonly fake = new FakePlane(() => this.clock.now());
  readonly refused: string[] = [];
  readonly globals = new Globals(this.fake.plane, this.clock, (text) => this.refused.push(text));

  async running(): Promise<string[]> {
    return (await this.fake.plane.daemons()).map(({ state }) => state).sort();
  }
}

describe("lvs_sync_daemon", () => {
  test("without an instance both daemons run", async () => {
    const bed = new Bed();
    const { instance: _, ...both } = SYNC;
    await bed.globals.change(global(both));
    expect(await bed.running()).toEqual(["backup", "master"]);
  });

  test("with an instance it begins as backup; as master it goes on listening until the former master has said all", async () => {
    const bed = new Bed();
    await bed.globals.begin(global(SYNC));
    expect(await bed.running()).toEqual([]);
    await bed.globals.change(global(SYNC));
    expect(await bed.running()).toEqual(["backup"]);
    await bed.globals.setSyncRole("master");
    expect(bed.fake.news().slice(-1)).toEqual(["start master daemon on eth0"]);
    expect(await bed.running()).toEqual(["backup", "master"]);
    await bed.clock.pass(2900);
    expect(await bed.running()).toEqual(["backup", "master"]);
    await bed.clock.pass(200);
    expect(await bed.running()).toEqual(["master"]);
  });

  test("a master that loses listens before it falls silent", async () => {
    const bed = new Bed();
    await bed.globals.change(global(SYNC));
    await bed.globals.setSyncRole("master");
    await bed.clock.pass(5000);
    bed.fake.news();
    await bed.globals.setSyncRole("backup");
    expect(bed.fake.news()).toEqual(["start backup daemon on eth0", "stop master daemon"]);
  });

  test("one that becomes backup again while it listens as master goes on listening", async () => {
    const bed = new Bed();
    await bed.globals.change(global(SYNC));
    await bed.globals.setSyncRole("master");
    await bed.clock.pass(1000);
    await bed.globals.setSyncRole("backup");
    await bed.clock.pass(10_000);
    expect(await bed.running()).toEqual(["backup"]);
    expect(bed.refused).toEqual([]);
  });

  test("daemons that a killed run left go on if they are as wanted, else end", async () => {
    const bed = new Bed();
    const left = { ...SYNC, state: "backup" } as const;
    await bed.fake.plane.startDaemon(left);
    await bed.fake.plane.startDaemon({ ...left, state: "master", syncId: 8 });
    bed.fake.news();
    await bed.globals.change(global(SYNC));
    expect(bed.fake.news()).toEqual(["stop master daemon"]);
    expect(await bed.running()).toEqual(["backup"]);
    expect(bed.refused).toEqual([]);
  });

  test("another id at a reload starts it again; without the line it ends", async () => {
    const bed = new Bed();
    await bed.globals.change(global(SYNC));
    bed.fake.news();
    await bed.globals.change(global({ ...SYNC, syncId: 10 }));
    expect(bed.fake.news()).toEqual(["stop backup daemon", "start backup daemon on eth0"]);
    await bed.globals.change(global());
    await bed.clock.pass(5000);
    expect(await bed.running()).toEqual([]);
  });

  test("one that cannot run is told of, until it runs or is not wanted any more", async () => {
    const bed = new Bed();
    bed.fake.refuse = (call) => {
      if (call.startsWith("start master")) throw new Error("no");
    };
    await bed.globals.change(global(SYNC));
    expect(bed.globals.syncTrouble).toBeUndefined();
    await bed.globals.setSyncRole("master");
    expect(bed.globals.syncTrouble).toBe("start the master sync daemon on eth0: no");
    bed.fake.refuse = () => {};
    await bed.globals.repair();
    expect(bed.globals.syncTrouble).toBeUndefined();
    expect(await bed.running()).toEqual(["backup", "master"]);
    await bed.globals.change(global({ ...SYNC, interface: "eth9" }));
    expect(bed.globals.syncTrouble).toBe('start the master sync daemon on eth9: no interface "eth9"');
    await bed.globals.change(global());
    expect(bed.globals.syncTrouble).toBeUndefined();
  });

  test("the backup is begun anew on demand, while it runs", async () => {
    const bed = new Bed();
    await bed.globals.change(global(SYNC));
    bed.fake.news();
    await bed.globals.renewBackup();
    expect(bed.fake.news()).toEqual(["stop backup daemon", "start backup daemon on eth0"]);
    await bed.globals.setSyncRole("master");
    await bed.clock.pass(5000);
    bed.fake.news();
    await bed.globals.renewBackup();
    expect(bed.fake.news()).toEqual([]);
  });

  test("ended, it stays so, whatever the instance does", async () => {
    const bed = new Bed();
    await bed.globals.change(global(SYNC));
    await bed.globals.endSync();
    await bed.globals.setSyncRole("master");
    await settled();
    expect(await bed.running()).toEqual([]);
  });
});
