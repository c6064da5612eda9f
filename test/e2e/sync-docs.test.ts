/** docs/sync.md, from its first example to its last. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "./daemon-bed.ts";
import { type Director, SyncBed } from "./sync-bed.ts";

const root = process.getuid?.() === 0;
const text = readFileSync(new URL("../../docs/sync.md", import.meta.url), "utf8");

/** What differs from run to run is replaced. */
const stable = (shown: string): string =>
  shown
    .replace(/fingerprint [0-9a-f]+/g, "fingerprint F")
    .replace(/\d[\d.]* s\b/g, "N s")
    .replace(/table \w+ ago/g, "table N ago")
    .replace(/\d+ connections there, \d+ here \([-+]?\d+\)/g, "N connections there, N here (D)")
    .replace(/ [\d.]+ (messages|kB)\/s/g, " N $1/s")
    .trim();

describe.skipIf(!root)("docs/sync.md", () => {
  const bed = new SyncBed("m");
  beforeAll(() => bed.up(false));
  afterAll(() => bed.down());

  test("shows what really happens", async () => {
    const here = (director: Director, line: string): string =>
      line
        .replaceAll("/etc/keepalived/keepalived.conf", join(bed.folder, `${director}.conf`))
        .replaceAll("/etc/lvsd/sync.key", join(bed.folder, "key"))
        .replaceAll("/var/log", bed.folder);
    const there = (shown: string): string => shown.replaceAll(join(bed.folder, "key"), "/etc/lvsd/sync.key");
    let commands = 0;
    for (const [, language, body] of text.matchAll(/^```(conf|console)\n([\s\S]*?)^```$/gm)) {
      if (language === "conf") {
        writeFileSync(join(bed.folder, "d1.conf"), body!);
        writeFileSync(join(bed.folder, "d2.conf"), body!.replace("priority 150", "priority 100"));
        continue;
      }
      const pieces = body!.split(/^((?:d1|d2)# .*)\n/m).slice(1);
      for (let i = 0; i < pieces.length; i += 2) {
        const [, name, command] = /^(\S+)# (.*)$/.exec(pieces[i]!)!;
        const director = name as Director;
        const look = async (): Promise<string> => {
          const running = bed.start(director, "sh", "-c", `${here(director, command!)} 2>&1`);
          await running.exited;
          return stable(there(running.out));
        };
        const again = !/--generate|--detach/.test(command!);
        const expected = stable(pieces[i + 1]!);
        const shown = await look();
        if (again && shown !== expected)
          await until(`${command}: ${expected}`, look, (now) => now === expected);
        else expect(shown, command).toBe(expected);
        commands++;
      }
    }
    expect(commands).toBe(9);
  });
});
