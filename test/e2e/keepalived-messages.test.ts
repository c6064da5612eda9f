/**
 * `keepalived -t` beside Debian's own: the same exit status and the same messages for files with everything wrong in them, in a
 * namespace with the interfaces that the files name.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readKeepalived } from "../../src/control/config/keepalived/index.ts";
import { keepalivedTestStatus, testLines } from "../../src/control/config/keepalived/said.ts";

const KEEPALIVED = "/usr/sbin/keepalived";
const GOLDEN = join(import.meta.dirname, "../golden/keepalived");
const NETNS = `lv${process.pid}kt`;
const INTERFACES = ["eth0", "eth1", "eth2"];

const ip = (...words: string[]) => execFileSync("ip", words, { stdio: "pipe" });

const files = ["", "messages", "tutorials"].flatMap((folder) =>
  readdirSync(join(GOLDEN, folder))
    .filter((name) => name.endsWith(".conf"))
    .map((name) => join(folder, name)),
);

/** Lines with the form that names file and line alike; those that come once a process come once. */
function lines(text: string, file: string): string[] {
  const named = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.replaceAll(file, "FILE").replace(/^\(Line/, "(FILE: Line"));
  return [...new Set(named)].sort();
}

/** Messages that only keepalived has, with the reason. */
const ALLOWED: Record<string, RegExp> = {
  // The second half of a sentence, indented.
  "messages/vrrp-k.conf": /Please use global lvs_sync_daemon/,
  // What follows from lines with no-break spaces, which it does not know and we read.
  "tutorials/kubernetes-dr.conf": /the virtual router id must be set|has no real servers - ignoring/,
};

describe.skipIf(process.getuid?.() !== 0 || !existsSync(KEEPALIVED))("keepalived -t beside Debian's", () => {
  beforeAll(() => {
    ip("netns", "add", NETNS);
    ip("-n", NETNS, "link", "set", "lo", "up");
    for (const [i, name] of INTERFACES.entries()) {
      ip("-n", NETNS, "link", "add", name, "type", "veth", "peer", "name", `${name}p`);
      ip("-n", NETNS, "addr", "add", `10.0.${i}.11/24`, "dev", name);
      ip("-n", NETNS, "link", "set", name, "up");
      ip("-n", NETNS, "link", "set", `${name}p`, "up");
    }
  });

  afterAll(() => {
    spawnSync("ip", ["netns", "del", NETNS]);
  });

  it.each(files)("%s", (name) => {
    const file = join(GOLDEN, name);
    const words = ["netns", "exec", NETNS, KEEPALIVED, "-t", "-i", "one", "-f", file];
    const theirs = spawnSync("ip", words, { encoding: "utf8", timeout: 20_000, killSignal: "SIGKILL" });
    const { said } = readKeepalived(file, { configId: "one", interfaces: new Set(["lo", ...INTERFACES]) });
    const wanted = lines(theirs.stderr, file).filter((line) => !ALLOWED[name]?.test(line));
    expect(lines(testLines(said, true).join("\n"), file)).toEqual(wanted);
    expect(keepalivedTestStatus(said)).toBe(theirs.status);
  });
});
