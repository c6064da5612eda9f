/**
 * The daemon, ldirectord and the labs on the kernel's own ip_vs, in a virtual machine. All of it takes many minutes in emulation and
 * runs with LVSD_KERNEL=all (`npm run test:kernel`); the beginning of the daemon's life runs always.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { SEEN, talliesOf } from "../e2e/lab-tallies.ts";
import type { Task, Told } from "./daemon-player.ts";
import { obstacle, ROOT, runInGuest } from "./guest.ts";

const all = process.env["LVSD_KERNEL"] === "all";
const LDIRECTORD = ["g1-web-pair", "g2-quiescent", "s1-reload", "s8-shared-servers"];
/** What the kernel's ip_vs lacks. */
const REFUSED = "fullnat";
const STEPS = 6;

const task: Task = {
  root: ROOT,
  daemon: all ? STEPS : 2,
  ldirectord: all ? LDIRECTORD : [],
  labs: all ? Object.keys(SEEN) : [],
  connections: all ? 100 : 0,
  reloads: 10,
};

const reason = obstacle();
if (reason) console.log(`the daemon on the kernel plane is left out: ${reason}`);
else if (!all)
  console.log(
    "most of the daemon's life, ldirectord and the labs on the kernel plane are left out: they take minutes; npm run test:kernel plays them",
  );

describe.skipIf(reason !== "")("on the kernel's ip_vs", () => {
  const told: Told[] = [];
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "daemon-player.ts");
    await runInGuest<Told>(entry, [task], (line) => told.push(line), all ? 2400 : 300);
  }, 3_600_000);

  const parts = (kind: string): Told[] =>
    told.filter(({ part }) => part === kind || part.startsWith(`${kind}: `));
  /** All of a kind went well, and there were so many. */
  const fine = (kind: string, count: number): void => {
    for (const { part, trouble } of parts(kind)) expect(trouble, part).toBeUndefined();
    expect(parts(kind)).toHaveLength(count);
  };

  it(`the daemon ${all ? "fails over, reloads, is killed and comes back" : "takes failing servers out"}`, () =>
    fine("daemon", 1 + task.daemon));

  it.skipIf(!all)("reloads leave open connections alone", () => fine("reload", 3));

  for (const name of LDIRECTORD) {
    it.skipIf(!all)(`ldirectord: ${name}`, () => fine(`ldirectord: ${name}`, 1));
  }

  for (const [name, { tallies, shows }] of Object.entries(SEEN)) {
    it.skipIf(!all)(`lab ${name}${name === REFUSED ? " is refused" : ""}`, () => {
      const { status, text = "" } = told.find(({ part }) => part === `lab: ${name}`)!;
      if (name === REFUSED) {
        expect(text).toMatch(/full-NAT/);
        return;
      }
      expect(status, text).toBe(0);
      expect(talliesOf(text), text).toEqual(tallies);
      if (shows) expect(text).toMatch(shows);
    });
  }
});
