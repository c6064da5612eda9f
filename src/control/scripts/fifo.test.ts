import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeFifo } from "../../sys/fifo.ts";
import { NotifyFifo, NotifyFifos } from "./fifo.ts";
import { groupLine, instanceLine, realServerLine, virtualServerLine } from "./lines.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-fifo-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const warnings: string[] = [];
const log = { warn: (text: string) => void warnings.push(text) };
const policy = { enforce: false };

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}

test("lines are keepalived's", () => {
  expect(realServerLine("[10.0.1.1]:tcp:80", "[10.0.0.100]:tcp:80", true)).toBe(
    "RS [10.0.1.1]:tcp:80 [10.0.0.100]:tcp:80 UP",
  );
  expect(virtualServerLine("FWM 9", false)).toBe("VS FWM 9 DOWN");
  expect(instanceLine("VI_1", "MASTER", 150)).toBe('INSTANCE "VI_1" MASTER 150');
  expect(groupLine("VG1", "FAULT")).toBe('GROUP "VG1" FAULT 0');
});

describe("NotifyFifo", () => {
  test("its script gets the path as last argument and reads the lines; the pipe goes with it", async () => {
    const path = join(folder, "pipe");
    const out = join(folder, "out");
    const script = { command: ["/bin/sh", "-c", `echo "$1" >>${out}; exec cat "$1" >>${out}`, "reader"] };
    const fifo = new NotifyFifo({ path, script }, policy, log);
    expect(statSync(path).isFIFO()).toBe(true);
    fifo.write("VS FWM 9 UP");
    fifo.write("VS FWM 9 DOWN");
    await until(() => existsSync(out) && readFileSync(out, "utf8").includes("DOWN"));
    expect(readFileSync(out, "utf8")).toBe(`${path}\nVS FWM 9 UP\nVS FWM 9 DOWN\n`);
    fifo.close();
    expect(existsSync(path)).toBe(false);
  });

  test("writing never waits: lines beyond what the pipe holds are lost, and that is told", () => {
    warnings.length = 0;
    const fifo = new NotifyFifo({ path: join(folder, "pipe") }, policy, log);
    for (let i = 0; i < 20_000; i++) fifo.write("VS [10.0.0.100]:tcp:80 UP");
    expect(warnings).toEqual([expect.stringContaining("is full")]);
    fifo.close();
  });

  test("a pipe that was there stays; a plain file is refused and left as it is", () => {
    const path = join(folder, "pipe");
    makeFifo(path, 0o600);
    new NotifyFifo({ path }, policy, log).close();
    expect(statSync(path).isFIFO()).toBe(true);
    const plain = join(folder, "plain");
    writeFileSync(plain, "precious");
    expect(() => new NotifyFifo({ path: plain }, policy, log)).toThrow("is no pipe");
    expect(readFileSync(plain, "utf8")).toBe("precious");
  });

  test("a pipe that cannot be had costs a warning, not the others", () => {
    warnings.length = 0;
    const path = join(folder, "pipe");
    const fifos = new NotifyFifos(
      { notifyFifo: { path: join(folder, "no/where") }, lvsNotifyFifo: { path } },
      policy,
      log,
    );
    fifos.lvs("VS FWM 1 UP");
    expect(warnings[0]).toContain("no notify pipe");
    fifos.close();
  });
});
