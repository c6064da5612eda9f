import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { getAddress } from "../../src/planes/ebpf/encode.ts";
import { DEST, DEST_FLAG, LOAD, SERVICE, SERVICE_KEY } from "../../src/planes/ebpf/layout.ts";
import { Maps } from "../../src/planes/ebpf/maps.ts";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";

const plane = resolve("dist/lvsd-ebpf.cjs");
const missing = existsSync(plane) ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of commands that are killed are left out: ${missing}`);

/** Does the operations; ends itself before the step of that number. Prints the names of the steps that it came to. */
const CHILD = `
const { ebpfPlane } = require(process.argv[1]);
let left = Number(process.argv[2]);
const plane = ebpfPlane({ onStep: (step) => {
  if (left-- === 0) process.kill(process.pid, "SIGKILL");
  else require("node:fs").writeSync(1, step + "\\n");
} });
(async () => {
  for (const [method, ...args] of JSON.parse(process.argv[3])) await plane[method](...args);
  await plane.close();
})().catch((error) => { console.error(error.message); process.exit(1); });
`;

const id = { kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 };
const service = (scheduler: string) => ({
  id,
  scheduler,
  schedFlags: 0,
  persistent: false,
  timeoutS: 0,
  netmask: 0xffffffff,
  engine: "",
  onePacket: false,
});
const destination = (last: number, weight: number) => ({
  family: 4,
  address: `10.0.0.${last}`,
  port: 80,
  method: "nat",
  weight,
  upper: 0,
  lower: 0,
  tunnel: { type: "ipip", port: 0, checksum: "none" },
});

type Call = readonly [method: string, ...args: unknown[]];
/** One after the other; each is killed at every one of its steps. */
const CALLS: readonly Call[] = [
  ["addService", service("wrr")],
  ["addDestination", id, destination(11, 1)],
  ["addDestination", id, destination(12, 2)],
  ["editDestination", id, destination(11, 5)],
  ["editService", service("sh")],
  ["removeDestination", id, { family: 4, address: "10.0.0.12", port: 80 }],
  ["addDestination", id, destination(12, 3)],
  ["removeService", id],
  ["addService", service("rr")],
  ["addDestination", id, destination(13, 1)],
  ["flush"],
];

describe.skipIf(missing)("a command that is killed at any step", () => {
  const run = mkdtempSync(join(tmpdir(), "lvsd-killed-"));
  const space = `lv${process.pid}killed`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", LVSD_RUN_DIR: run, LVSD_PLANE: "ebpf" };
  const inside = (...words: string[]) =>
    spawnSync("ip", ["netns", "exec", space, process.execPath, ...words], { encoding: "utf8", env });
  beforeAll(() => void execFileSync("ip", ["netns", "add", space]));
  afterAll(() => {
    execFileSync("ip", ["netns", "del", space]);
    removeBpffs(`${run}/bpf`);
    rmSync(run, { recursive: true, force: true });
  });

  const call = (calls: readonly Call[], killAt = -1) =>
    inside("-e", CHILD, plane, String(killAt), JSON.stringify(calls));
  /** The rules, lines in order of the alphabet: ipvsadm sorts destinations, the maps hold them as they are tried. */
  const sorted = (text: string): string => text.split("\n").sort().join("\n").trim();
  const rules = (): string => sorted(inside(resolve("dist/ipvsadm.cjs"), "-Sn").stdout);
  const pins = (): string[] =>
    existsSync(`${machineRoot()}${run}/bpf`)
      ? readdirSync(`${machineRoot()}${run}/bpf`).filter((name) => /^\d/.test(name))
      : [];

  /** The rules as the maps have them, in the words of ipvsadm-save. */
  function mapped(): string {
    const [folder] = pins();
    if (!folder) return "";
    const maps = new Maps(`${machineRoot()}${run}/bpf/${folder}/maps`);
    try {
      let text = "";
      for (const { count, keys, values } of maps.map("services").batches()) {
        for (let i = 0; i < count; i++) {
          const v = new DataView(values.buffer, i * SERVICE.size);
          const key = `${getAddress(4, keys, i * SERVICE_KEY.size)}:${v.getUint16(SERVICE.at.port)}`;
          const name = ["none", "rr", "wrr"][v.getUint32(SERVICE.at.scheduler, true)] ?? "sh";
          text += `-A -t ${key} -s ${name}\n`;
          const order = maps.array("order").view;
          for (let n = 0; n < v.getUint32(SERVICE.at.order_count, true); n++) {
            const number = order.getUint16(2 * (v.getUint32(SERVICE.at.order_at, true) + n), true);
            const dest = maps.array("dests");
            const at = number * DEST.size;
            expect(dest.view.getUint32(at + DEST.at.service, true)).toBe(v.getUint32(SERVICE.at.id, true));
            expect(dest.view.getUint32(at + DEST.at.flags, true) & DEST_FLAG.available).toBe(1);
            const weight = maps.array("loads").view.getUint32(number * LOAD.size + LOAD.at.weight, true);
            const address = getAddress(4, dest.bytes, at + DEST.at.address);
            text += `-a -t ${key} -r ${address}:${dest.view.getUint16(at + DEST.at.port)} -m -w ${weight}\n`;
          }
        }
      }
      return sorted(text);
    } finally {
      maps.close();
    }
  }

  const every = process.env["LVSD_E2E"] === "all" ? 1 : 2;
  if (every > 1)
    console.log(`a command is killed at every ${every}nd step; npm run test:long does it at every one`);
  let before = "";
  test.each(CALLS.map((one, i) => [i, one[0], one] as const))(
    "%i: %s leaves the rules as they were or as they should be, and maps that agree",
    { timeout: 180_000 },
    (index, _name, one) => {
      const history = CALLS.slice(0, index);
      for (let step = index % every; ; step += every) {
        const { status, signal, stderr } = call([one], step);
        if (status === 0) break;
        expect([signal, stderr]).toEqual(["SIGKILL", ""]);
        const found = rules();
        expect(mapped()).toBe(found);
        if (one[0] === "flush" && found === "") expect(pins()).toEqual([]);
        if (found === before) continue;
        // It was done: back to where it was, for the next step.
        expect(call([["reset"], ...history]).stderr).toBe("");
        expect(rules()).toBe(before);
      }
      before = rules();
      expect(mapped()).toBe(before);
      if (one[0] === "flush") expect([before, pins()]).toEqual(["", []]);
    },
  );

  test("what is left of pins when their removal was cut short is in nobody's way", () => {
    expect(call(CALLS.slice(0, 2)).stderr).toBe("");
    const folder = `${machineRoot()}${run}/bpf/${pins()[0]}`;
    rmSync(`${folder}/maps/config`);
    rmSync(`${run}/ebpf-${pins()[0]}.rules`);
    expect(call(CALLS.slice(0, 1)).stderr).toBe("");
    expect(mapped()).toBe(rules());
    expect(call([["flush"]]).stderr).toBe("");
    expect(pins()).toEqual([]);
  });
});
