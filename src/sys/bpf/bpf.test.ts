import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { close, raw, SysError } from "../libc.ts";
import { inNetns, namedNetns } from "../netns.ts";
import { AF, openSocket, SOCK, sockaddrIn } from "../socket.ts";
import { ensureBpffs, isBpffs, removeBpffs } from "./bpffs.ts";
import { features } from "./features.ts";
import {
  attachFilter,
  attachTcx,
  attachXdp,
  detachFilter,
  detachLink,
  filterProgram,
  hasTcx,
  linkInfo,
  replaceProgram,
  tcxPrograms,
} from "./link.ts";
import { BpfMap, countCpus, EXIST, MAP_TYPE, NOEXIST } from "./map.ts";
import { BpfObject, declarations, VerifierError } from "./object.ts";
import { openPin, pin } from "./pins.ts";
import { programInfo, TestRun } from "./program.ts";
import { RingBuffer } from "./ringbuf.ts";
import { compileToy } from "./toy.ts";

const root = process.getuid?.() === 0;
const toy = root ? compileToy() : undefined;
if (!toy) console.log(`tests of BPF objects are left out: ${root ? "no clang or libbpf-dev" : "not root"}`);

const u32 = (n: number): Uint8Array => {
  const b = new Uint8Array(4);
  new DataView(b.buffer).setUint32(0, n, LITTLE_ENDIAN);
  return b;
};
const u64 = (n: number): Uint8Array => {
  const b = new Uint8Array(8);
  new DataView(b.buffer).setBigUint64(0, BigInt(n), LITTLE_ENDIAN);
  return b;
};
const read64 = (b: Uint8Array | undefined, at = 0): number =>
  Number(new DataView(b!.buffer, b!.byteOffset).getBigUint64(at, LITTLE_ENDIAN));
const skipBad = { skip: (name: string) => name === "bad" };
const code = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof SysError) return error.code;
    throw error;
  }
  return undefined;
};

test("countCpus() reckons up to the last one", () => {
  expect(countCpus("0-3\n")).toBe(4);
  expect(countCpus("0")).toBe(1);
  expect(countCpus("0-1,4-7")).toBe(8);
});

describe.runIf(toy)("BPF objects", () => {
  let object: BpfObject;
  const map = (name: string): BpfMap => new BpfMap(object.map(name));
  beforeAll(() => {
    object = BpfObject.load(toy!, "toy", {
      ...skipBad,
      maxEntries: { squares: 20_000 },
      sections: { ".rodata": (bytes) => bytes.set(u32(3)) },
    });
  });
  afterAll(() => object.close());

  test("declarations() tells what a file holds without loading it", () => {
    const { maps, programs } = declarations(toy!);
    expect(programs.sort()).toEqual(["bad", "count", "count_twice", "pass"]);
    expect(maps.find((m) => m.name === "counts")).toMatchObject({
      type: MAP_TYPE.ARRAY,
      keySize: 4,
      valueSize: 8,
      maxEntries: 16,
      internal: false,
    });
    expect(maps.find((m) => m.name === ".rodata")?.internal).toBe(true);
  });

  test("sizes and constants are those that were wanted", () => {
    expect(map("squares").info).toMatchObject({ maxEntries: 20_000, name: "squares" });
    const run = new TestRun(object.program("count"));
    const counts = map("counts");
    const before = read64(counts.lookupIndex(0));
    expect(run.run(60)).toBe(-1);
    expect(read64(counts.lookupIndex(0)) - before).toBe(3);
  });

  test("what the verifier refuses is told in one line, with the source", () => {
    expect(() => BpfObject.load(toy!, "toy")).toThrow(VerifierError);
    expect(() => BpfObject.load(toy!, "toy")).toThrow(/program bad: R\d invalid mem access.*"return \*n;.*"/);
  });

  test("elements are written, read, and removed, by the rules of their flags", () => {
    const squares = map("squares");
    squares.update(u32(7), u64(49), NOEXIST);
    expect(read64(squares.lookup(u32(7)))).toBe(49);
    expect(code(() => squares.update(u32(7), u64(50), NOEXIST))).toBe("EEXIST");
    expect(code(() => squares.update(u32(8), u64(50), EXIST))).toBe("ENOENT");
    expect(squares.delete(u32(7))).toBe(true);
    expect(squares.delete(u32(7))).toBe(false);
    expect(squares.lookup(u32(7))).toBeUndefined();
  });

  test("batches give every element once", () => {
    const squares = map("squares");
    const keys = new Uint8Array(4 * 10_000);
    const values = new Uint8Array(8 * 10_000);
    for (let i = 0; i < 10_000; i++) {
      keys.set(u32(i), 4 * i);
      values.set(u64(i * i), 8 * i);
    }
    squares.updateBatch(keys, values, 10_000);
    const seen = new Map<number, number>();
    for (const { count, keys, values } of squares.batches(512)) {
      const k = new DataView(keys.buffer);
      for (let i = 0; i < count; i++) seen.set(k.getUint32(4 * i, LITTLE_ENDIAN), read64(values, 8 * i));
    }
    expect(seen.size).toBe(10_000);
    expect([...seen].every(([i, square]) => square === i * i)).toBe(true);
    expect([...map("counts").batches(5)].reduce((n, b) => n + b.count, 0)).toBe(16);
    expect([...map("each").batches()].reduce((n, b) => n + b.count, 0)).toBe(4);
  });

  test("an array can be memory, in both directions", () => {
    const counts = map("counts");
    expect(counts.mappable).toBe(true);
    expect(map("squares").mappable).toBe(false);
    const { bytes, close } = counts.map();
    bytes.set(u64(1000), 8);
    expect(read64(counts.lookupIndex(1))).toBe(1000);
    new TestRun(object.program("count_twice")).run(60);
    expect(read64(bytes, 8)).toBe(1002);
    close();
  });

  test("a test run has a context, and gives packet and mark back", () => {
    const run = new TestRun(object.program("count"));
    run.input.set([1, 2, 3, 4, 5, 6], 0);
    run.run(77, { mark: 5 });
    expect([run.outputLength, run.outputMark]).toEqual([77, 77]);
    expect([...run.output.subarray(0, 6)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(new TestRun(object.program("pass"), "xdp").run(60)).toBe(2);
    const [once] = [read64(map("each").lookupIndex(0)!)];
    expect(once).toBeGreaterThanOrEqual(0);
  });

  test("a ring buffer gives its records in order, also past its end", () => {
    const ring = new RingBuffer(object.map("events"));
    ring.consume(() => {});
    const run = new TestRun(object.program("count"));
    const marks: number[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) run.run(60, { mark: round * 50 + i });
      ring.consume((r) => marks.push(new DataView(r.buffer, r.byteOffset).getUint32(0, LITTLE_ENDIAN)));
    }
    expect(marks).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    ring.close();
  });

  describe("on interfaces", () => {
    const space = `lv${process.pid}bpf`;
    const fs = `/tmp/lvsd-bpffs-${process.pid}`;
    const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "pipe" });
    const there = <T>(work: () => T): T => inNetns(namedNetns(space), work);
    const index = (name: string): number =>
      JSON.parse(execFileSync("ip", ["-n", space, "-j", "link", "show", name], { encoding: "utf8" }))[0]
        .ifindex;
    beforeAll(() => {
      ip("netns", "add", space);
      ip("-n", space, "link", "set", "lo", "up");
      ip("-n", space, "link", "add", "va", "type", "veth", "peer", "name", "vb");
    });
    afterAll(() => {
      removeBpffs(fs);
      execFileSync("rm", ["-rf", fs, `${fs}-link`]);
      ip("netns", "del", space);
    });
    /** Sends a datagram over lo. */
    const ping = (): void =>
      there(() => {
        const fd = openSocket(AF.INET, SOCK.DGRAM, 0);
        const to = sockaddrIn([127, 0, 0, 1], 9);
        raw.sendto(fd, to, 4, 0, to, to.length);
        close(fd);
      });
    const counted = (i: number): number => read64(map("counts").lookupIndex(i));

    test("pins outlive the descriptor, on a bpffs of our own, also inside `ip netns exec`", () => {
      expect(isBpffs(fs)).toBe(false);
      expect(ensureBpffs(fs)).toBe(fs);
      expect(ensureBpffs(fs)).toBe(fs);
      symlinkSync(dirname(fs), `${fs}-link`);
      expect(isBpffs(`${fs}-link/${basename(fs)}`)).toBe(true);
      pin(object.map("counts"), `${fs}/counts`);
      const again = BpfMap.open(`${fs}/counts`)!;
      expect(again.info.id).toBe(map("counts").info.id);
      again.close();
      expect(openPin(`${fs}/nothing`)).toBeUndefined();
      expect(code(() => pin(object.map("counts"), `${fs}/counts`))).toBe("EEXIST");
    });

    test.runIf(hasTcx())(
      "a TCX link counts packets, takes another program, and knows when its namespace is gone",
      () => {
        const link = there(() => attachTcx(object.program("count"), 1, "ingress"));
        const id = programInfo(object.program("count")).id;
        expect(linkInfo(link)).toMatchObject({ programId: id, ifindex: 1 });
        expect(there(() => tcxPrograms(1, "ingress"))).toEqual([id]);
        let [once, twice] = [counted(0), counted(1)];
        ping();
        expect(counted(0)).toBeGreaterThan(once);
        replaceProgram(link, object.program("count_twice"));
        [once, twice] = [counted(0), counted(1)];
        ping();
        expect([counted(0), counted(1) > twice]).toEqual([once, true]);
        detachLink(link);
        expect(there(() => tcxPrograms(1, "ingress"))).toEqual([]);
        close(link);

        ip("netns", "add", `${space}2`);
        const lost = inNetns(namedNetns(`${space}2`), () => attachTcx(object.program("count"), 1, "egress"));
        expect(linkInfo(lost).ifindex).toBe(1);
        ip("netns", "del", `${space}2`);
        const until = Date.now() + 10_000;
        while (linkInfo(lost).ifindex !== 0 && Date.now() < until) execFileSync("sleep", ["0.05"]);
        expect(linkInfo(lost).ifindex).toBe(0);
        close(lost);
      },
    );

    test("a classic filter counts packets, is replaced, and is found again", () => {
      there(() => {
        expect(filterProgram(1, "ingress")).toBeUndefined();
        attachFilter(object.program("count"), 1, "ingress");
        expect(filterProgram(1, "ingress")).toBe(programInfo(object.program("count")).id);
      });
      const once = counted(0);
      ping();
      expect(counted(0)).toBeGreaterThan(once);
      there(() => attachFilter(object.program("count_twice"), 1, "ingress"));
      const twice = counted(1);
      ping();
      expect(counted(1)).toBeGreaterThan(twice);
      there(() => {
        expect(detachFilter(1, "ingress")).toBe(true);
        expect(detachFilter(1, "ingress")).toBe(false);
      });
    });

    test("an XDP link attaches in the driver only, once", () => {
      const a = index("va");
      const link = there(() => attachXdp(object.program("pass"), a));
      expect(linkInfo(link).ifindex).toBe(a);
      expect(() => there(() => attachXdp(object.program("pass"), a))).toThrow(/another XDP program/);
      close(link);
      expect(() => there(() => attachXdp(object.program("pass"), 1))).toThrow(/LINK_CREATE/);
    });
  });
});

describe.runIf(root)("features()", () => {
  test("finds what this kernel needs for the plane, or says which version has it", () => {
    const all = features();
    expect(all.map((f) => f.name)).toContain("timers");
    for (const f of all) expect(f.since).toMatch(/^\d+\.\d+$/);
    expect(all.find((f) => f.name === "TC programs")?.present).toBe(true);
    expect(all.find((f) => f.name === "TCX links")?.present).toBe(hasTcx());
  });
});
