/** The recorded `ipvsadm` sessions, played with the built commands in network namespaces, on any plane. */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Outcome, readCase, type Step, transcript } from "../golden/run-case.ts";
import { CASES } from "../golden/surroundings.ts";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const built = ["ipvsadm", "ipvsadm-save", "ipvsadm-restore", "lvsd-engine"].every((name) =>
  existsSync(join(dist, `${name}.cjs`)),
);
const possible = built && process.getuid?.() === 0;

const read = (name: string): string => readFileSync(new URL(name, CASES), "utf8");
const ip = (...words: string[]): void => {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
};

/** A plane that the cases are played on. */
export interface GoldenPlane {
  readonly name: string;
  /** Why it cannot be used here; undefined when it can. */
  readonly missing?: string | undefined;
  /** Only every so many-th case is played. @default 1 */
  readonly every?: number;
  /** Called with the folder of the plane's files when all is over. */
  readonly cleanUp?: (runDirectory: string) => void;
}

/** Declares the tests: every recorded case, with the built commands, on one plane. */
export function goldenCases(plane: GoldenPlane): void {
  const reason = built ? (possible ? plane.missing : "not root") : "dist/ is not built";
  if (reason !== undefined) console.log(`golden cases on the ${plane.name} plane are left out: ${reason}`);
  describe.runIf(reason === undefined)(
    `the built commands answer as ipvsadm 1.31 did, on the ${plane.name} plane`,
    { concurrent: true },
    () => {
      let folder: string;
      const spaces = new Set<string>();

      beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "lvsd-golden-"));
        for (const name of ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"]) {
          const script = join(folder, name);
          writeFileSync(script, `#!/bin/sh\nexec "${process.execPath}" "${join(dist, name)}.cjs" "$@"\n`);
          chmodSync(script, 0o755);
        }
      });

      afterAll(() => {
        for (const space of spaces) removeSpace(space);
        plane.cleanUp?.(join(folder, "run"));
        // Engines that were told to end may still be writing their last words.
        rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      });

      /** The machine of the recording, as a network namespace. */
      function makeSpace(name: string): void {
        spaces.add(name);
        mkdirSync(`/etc/netns/${name}`, { recursive: true });
        writeFileSync(`/etc/netns/${name}/hosts`, read("hosts"));
        writeFileSync(`/etc/netns/${name}/services`, read("services"));
        writeFileSync(`/etc/netns/${name}/nsswitch.conf`, "hosts: files\nservices: files\n");
        ip("netns", "add", name);
        ip("-n", name, "link", "set", "lo", "up");
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "other");
        ip("-n", name, "link", "set", "other", "up");
        ip("-n", name, "link", "set", "eth0", "up", "multicast", "on");
        ip("-n", name, "addr", "add", "198.51.100.1/24", "brd", "+", "dev", "eth0");
        ip("-n", name, "addr", "add", "2001:db8:ee::1/64", "dev", "eth0", "nodad");
      }

      function removeSpace(name: string): void {
        const pids = (() => {
          try {
            return execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" })
              .split("\n")
              .filter(Boolean);
          } catch {
            return [];
          }
        })();
        for (const pid of pids) {
          try {
            process.kill(Number(pid));
          } catch {
            // It ended by itself.
          }
        }
        try {
          ip("netns", "del", name);
        } catch {
          // It was never made.
        }
        rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
        spaces.delete(name);
      }

      function runThere(space: string, { line, stdin }: Step): Promise<Outcome> {
        const words = line.split(/\s+/).filter(Boolean);
        const env = {
          PATH: `${folder}:${process.env["PATH"]}`,
          LVSD_PLANE: plane.name,
          LVSD_RUN_DIR: join(folder, "run"),
          LC_ALL: "C",
        };
        const child = spawn("ip", ["netns", "exec", space, ...words], { env });
        return new Promise((resolve, reject) => {
          let stdout = "";
          let stderr = "";
          child.stdout.setEncoding("utf8").on("data", (text) => {
            stdout += text;
          });
          child.stderr.setEncoding("utf8").on("data", (text) => {
            stderr += text;
          });
          child.on("error", reject);
          child.on("close", (status) => resolve({ stdout, stderr, status: status ?? -1 }));
          child.stdin.on("error", () => {}); // a command that does not read its stdin
          child.stdin.end(stdin);
        });
      }

      // Two at a time: every command is a process.
      let free = 2;
      const waiting: (() => void)[] = [];
      async function slot<T>(work: () => Promise<T>): Promise<T> {
        if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
        else free--;
        try {
          return await work();
        } finally {
          const next = waiting.shift();
          if (next) next();
          else free++;
        }
      }

      const every = plane.every ?? 1;
      const cases = readdirSync(CASES)
        .filter((name) => name.endsWith(".sh"))
        .filter((_, i) => i % every === 0);
      if (every > 1) console.log(`${plane.name} plane: every ${every}th case; npm run test:long plays all`);
      for (const [index, name] of cases.entries()) {
        it(`case ${name.slice(0, -3)}`, { timeout: 600_000 }, () =>
          slot(async () => {
            const space = `lv${process.pid}${plane.name[0]}${index}`;
            makeSpace(space);
            try {
              let text = "";
              for (const step of readCase(read(name))) text += transcript(step, await runThere(space, step));
              expect(text).toBe(read(name.replace(/\.sh$/, ".out")));
            } finally {
              removeSpace(space);
            }
          }),
        );
      }
    },
  );
}
