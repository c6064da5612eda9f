/** Reading the connection table while the rules change. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { type EbpfPlane, ebpfPlane } from "../../src/planes/ebpf/ebpf.ts";
import { CONN, PHASE, STATE } from "../../src/planes/ebpf/layout.ts";
import { Maps } from "../../src/planes/ebpf/maps.ts";
import { type EbpfPaths, ebpfPaths } from "../../src/planes/ebpf/paths.ts";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { enterNetns, newNetns } from "../../src/sys/netns.ts";

const missing = process.getuid?.() === 0 && existsSync("bpf/lvsd.bpf.o") ? ebpfMissing() : "it needs root";
const COUNT = 5000;
const service = (port: number): ServiceId => ({
  kind: "address",
  family: 4,
  protocol: "tcp",
  address: "10.9.0.1",
  port,
});

describe.skipIf(missing)("the connections of the plane", () => {
  const run = mkdtempSync(join(tmpdir(), "lvsd-reading-"));
  let paths: EbpfPaths;
  let plane: EbpfPlane;
  beforeAll(() => {
    newNetns();
    paths = ebpfPaths(run);
    plane = ebpfPlane({ paths });
  });
  afterAll(async () => {
    await plane.reset();
    await plane.close();
    enterNetns(`/proc/${process.ppid}/ns/net`);
    removeBpffs(`${run}/bpf`);
    rmSync(run, { recursive: true, force: true });
  });

  /** Connections of a day that nobody counts. */
  function fill(): void {
    const maps = new Maps(`${paths.pins}/maps`);
    const { view, bytes } = maps.array("slab");
    const end = process.hrtime.bigint() + 86_400_000_000_000n;
    for (let slot = 1; slot <= COUNT; slot++) {
      const at = slot * CONN.size;
      bytes[at + CONN.at.family] = 4;
      bytes[at + CONN.at.dest_family] = 4;
      bytes[at + CONN.at.protocol] = 6;
      view.setBigUint64(at + CONN.at.expires, end, true);
      view.setUint16(at + CONN.at.client_port, slot);
      view.setUint32(at + CONN.at.ctl, PHASE.live, true);
    }
    maps.array("state").view.setUint32(STATE.at.fresh, COUNT + 1, true);
    maps.close();
  }

  test("are read to their end while others change the rules, and even remove everything", async () => {
    await plane.addService(serviceSpec(service(80)));
    fill();
    const other = ebpfPlane({ paths });
    const ports = new Set<number>();
    for await (const { clientPort } of plane.connections()) {
      ports.add(clientPort);
      // Rows are read some thousand at a time: there are more to come.
      if (ports.size === 1) {
        await other.addService(serviceSpec(service(81)));
        expect(await plane.services()).toHaveLength(2);
      }
      if (ports.size === 2) {
        await other.flush();
        expect(await plane.services()).toEqual([]);
      }
    }
    expect(ports.size).toBe(COUNT);
    await other.close();
  });
});
