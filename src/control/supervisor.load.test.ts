/** Thousands of servers in one virtual server: the work for each change does not grow with their number. */
import { expect, test } from "vitest";
import { realServer, SupervisorBed, TIMING, tcpCheck, virtualServer } from "../testkit/supervisor-bed.ts";

const SERVERS = 10_000;
const address = (n: number): string => `10.1.${n >> 8}.${n & 255}`;
const all = Array.from({ length: SERVERS }, (_, n) => address(n));
const timing = { ...TIMING, delayLoopMs: 5000, delayBeforeRetryMs: 1000, retry: 0, warmupMs: 5000 };

test("measure", async () => {
  const bed = new SupervisorBed();
  const many = all.map((a) => realServer(a, { checks: [tcpCheck(a, { timing })] }));
  const t = async (name: string, f: () => Promise<unknown>) => {
    const cpu = process.cpuUsage();
    const at = performance.now();
    await f();
    const c = process.cpuUsage(cpu);
    console.log(
      name,
      (performance.now() - at).toFixed(0),
      "ms, cpu",
      ((c.user + c.system) / 1000).toFixed(0),
      bed.fake.calls.splice(0).length,
    );
  };
  await t("apply", () => bed.apply(virtualServer("10.0.0.1:80", many)));
  await t("first round", () => bed.pass(6.5));
  await t("idle round", () => bed.pass(5));
  bed.fail(...all);
  await t("failing", () => bed.pass(5));
  bed.heal(...all);
  await t("healing", () => bed.pass(5));
  await t("status", () => bed.supervisor.status());
  await t("reload", () => bed.apply(virtualServer("10.0.0.1:80", structuredClone(many))));
  await t("plan", () =>
    bed.supervisor.plan({
      ...(null as any),
      language: "keepalived",
      files: [],
      global: {} as any,
      vrrp: {} as any,
      virtualServers: [virtualServer("10.0.0.1:80", many.slice(5000))],
    }),
  );
  await t("repair", () => bed.supervisor.repair());
  await t("stop", () => bed.supervisor.stop());
  expect(bed.open).toBe(0);
}, 600_000);
