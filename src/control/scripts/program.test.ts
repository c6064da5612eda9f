import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findAccount, findUser } from "./account.ts";
import { OUTPUT_LIMIT, runProgram } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "lvsd-program-"));
afterAll(() => rmSync(folder, { recursive: true }));

const script = (name: string, text: string, mode = 0o755): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};
const sh = (text: string): string[] => ["/bin/sh", "-c", text];
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A zombie that nobody has collected yet is dead enough.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((r) => setTimeout(r, 50));
  expect(condition()).toBe(true);
};

describe("runProgram()", () => {
  it("gives the exit status, and passes arguments as they are, without a shell", async () => {
    const result = await runProgram({ command: ["printf", "%s|", "a b", "$HOME;*"], capture: true });
    expect(result).toMatchObject({ status: 0, signal: null, timedOut: false, output: "a b|$HOME;*|" });
    expect((await runProgram({ command: sh("exit 12") })).status).toBe(12);
  });

  it("tells a signal from an exit status", async () => {
    const result = await runProgram({ command: sh("kill -SEGV $$") });
    expect(result).toMatchObject({ status: null, signal: "SIGSEGV", timedOut: false });
  });

  it("runs it in a process group of its own with /dev/null as standard streams", async () => {
    const out = join(folder, "streams");
    await runProgram({
      command: sh(
        `readlink /proc/self/fd/0 /proc/self/fd/1 > ${out}; ps -o pgid= $$ >> ${out}; echo $$ >> ${out}`,
      ),
    });
    const [stdin, , pgid, pid] = readFileSync(out, "utf8").trim().split("\n");
    expect(stdin).toBe("/dev/null");
    expect(pgid?.trim()).toBe(pid);
  });

  it("ends it, and what it started, when its time is up", async () => {
    const pidFile = join(folder, "pid");
    const result = await runProgram({ command: sh(`sleep 60 & echo $! > ${pidFile}; wait`), timeoutMs: 300 });
    expect(result).toMatchObject({ timedOut: true, aborted: false });
    const sleeper = Number(readFileSync(pidFile, "utf8"));
    await until(() => !alive(sleeper));
  });

  it("kills what ignores TERM", async () => {
    const result = await runProgram({
      command: sh("trap '' TERM; while :; do sleep 0.1; done"),
      timeoutMs: 200,
      killAfterMs: 300,
    });
    expect(result).toMatchObject({ timedOut: true, signal: "SIGKILL", status: null });
  });

  it("ends it when the caller's signal fires, and does not start it after that", async () => {
    const stop = new AbortController();
    const running = runProgram({ command: ["sleep", "60"] }, stop.signal);
    stop.abort();
    expect(await running).toMatchObject({ aborted: true, timedOut: false, signal: "SIGTERM" });
    const mark = join(folder, "mark");
    expect(await runProgram({ command: ["touch", mark] }, stop.signal)).toMatchObject({ aborted: true });
    expect(() => readFileSync(mark)).toThrow();
  });

  it("says why it could not start", async () => {
    expect((await runProgram({ command: ["/nowhere/at-all"] })).failure).toBe(
      "/nowhere/at-all: no such file",
    );
    const plain = script("plain", "#!/bin/sh\n", 0o644);
    expect((await runProgram({ command: [plain] })).failure).toMatch(/plain: not executable/);
    expect((await runProgram({ command: ["true"], user: "nobody-such" })).failure).toMatch(
      /user nobody-such does not exist/,
    );
    expect((await runProgram({ command: [] })).failure).toBeDefined();
  });

  it("gives a script without #! to the shell", async () => {
    const path = script("bare", 'exit "$1"\n');
    expect((await runProgram({ command: [path, "5"] })).status).toBe(5);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "runs it as a user and that user's group, without root's groups",
    async () => {
      const nobody = findUser("nobody")!;
      const result = await runProgram({ command: sh("id -u; id -g; id -G"), user: "nobody", capture: true });
      expect(result.output).toBe(`${nobody.uid}\n${nobody.gid}\n${nobody.gid}\n`);
      const other = await runProgram({
        command: ["id", "-g"],
        user: "nobody",
        group: "daemon",
        capture: true,
      });
      expect(other.output).toBe("1\n");
    },
  );

  it("keeps a limited part of a long output, and does not wait for grandchildren that hold it open", async () => {
    const long = await runProgram({ command: sh("head -c 300000 /dev/zero | tr '\\0' x"), capture: true });
    expect(long.output.length).toBe(OUTPUT_LIMIT);
    const held = await runProgram({ command: sh("echo first; sleep 30 & echo $!"), capture: true });
    const [first, pid] = held.output.split("\n");
    expect(first).toBe("first");
    expect(held.latencyMs).toBeLessThan(20_000);
    process.kill(Number(pid));
  });

  it("hands over its input", async () => {
    expect((await runProgram({ command: ["cat"], input: "abc", capture: true })).output).toBe("abc");
    expect((await runProgram({ command: ["true"], input: "x".repeat(1 << 20) })).status).toBe(0);
  });
});

describe("findAccount()", () => {
  it("knows names and numbers, and names what does not exist", () => {
    expect(findAccount("root")).toEqual({ uid: 0, gid: 0 });
    expect(findAccount("root", "daemon")).toEqual({ uid: 0, gid: 1 });
    expect(findAccount("4711")).toEqual({ uid: 4711, gid: 4711 });
    expect(findAccount(undefined, "7")).toEqual({ gid: 7 });
    expect(findAccount()).toEqual({});
    expect(() => findAccount("root", "no-such-group")).toThrow("group no-such-group does not exist");
  });
});
