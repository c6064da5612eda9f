/**
 * use_vmac on a kernel that has macvlan, with Debian's keepalived as the other router.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { obstacle, ROOT, runInGuest } from "./guest.ts";
import type { Task, Told } from "./vrrp-vmac-player.ts";

const reason = obstacle();
if (reason) console.log(`the tests of use_vmac are left out: ${reason}`);

describe.skipIf(reason !== "")("a virtual hardware address", () => {
  const outcomes = new Map<string, Told>();
  beforeAll(async () => {
    const task: Task = { dist: join(ROOT, "dist") };
    await runInGuest<Told>(
      join(import.meta.dirname, "vrrp-vmac-player.ts"),
      [task],
      (told) => outcomes.set(told.name, told),
      300,
    );
  }, 600_000);

  it.each([
    ["IPv4", "00:00:5e:00:01:33", true],
    ["adverts from the base interface", "00:00:5e:00:01:33", false],
    ["IPv6", "00:00:5e:00:02:33", true],
  ])(
    "%s: hosts learn it, adverts and announcements carry it, and it goes with the router",
    (name, mac, adverts) => {
      const told = outcomes.get(name)!;
      expect(told.trouble).toBeUndefined();
      expect(told).toMatchObject({
        mac,
        learnt: mac,
        answers: true,
        gone: true,
        takenOver: true,
        announcedFrom: [mac],
      });
      if (adverts) expect(told.advertsFrom).toEqual([mac]);
      else expect(told.advertsFrom).not.toContain(mac);
    },
  );
});
