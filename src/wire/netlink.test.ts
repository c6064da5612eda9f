import fc from "fast-check";
import { expect, test } from "vitest";
import { Attributes, messages, NetlinkWriter } from "./netlink.ts";
import { NF, queuedPacket, readPacket, VERDICT_LEN, writeVerdict } from "./nfqueue.ts";

test("what a writer writes, messages() and Attributes read back", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          type: fc.integer({ min: 16, max: 0xffff }),
          seq: fc.integer({ min: 0, max: 0xffffffff }),
          text: fc.stringMatching(/^[a-z]{0,20}$/),
          number: fc.integer({ min: 0, max: 0xffffffff }),
          bytes: fc.uint8Array({ maxLength: 40 }),
        }),
        { maxLength: 20 },
      ),
      (wanted) => {
        const w = new NetlinkWriter(16);
        for (const m of wanted) {
          w.begin(m.type, 1, m.seq).raw([1, 2, 3, 4]).string(1, m.text);
          w.nest(2, () => w.u32(3, m.number).bytesAttr(4, m.bytes));
          w.end();
        }
        const found = messages(w.bytes).map((m) => {
          const a = new Attributes(m.body, 4);
          const inner = a.nested(2)!;
          const bytes = Uint8Array.from(inner.bytes(4)!);
          return { type: m.type, seq: m.seq, text: a.string(1), number: inner.u32(3), bytes };
        });
        expect(found).toEqual(wanted);
      },
    ),
  );
});

test("messages(), Attributes and readPacket() never throw on garbage", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
      for (const m of messages(garbage)) new Attributes(m.body).nested(1);
      const v = new DataView(garbage.buffer, garbage.byteOffset, garbage.byteLength);
      readPacket(v, 0, garbage.length, queuedPacket());
    }),
  );
});

test("readPacket() finds id, hook, mark and the packet in a message as the kernel writes it", () => {
  const w = new NetlinkWriter();
  w.begin(0x300, 0, 0).raw([2, 0, 0x6c, 0x76]);
  w.bytesAttr(1, [0, 0, 1, 2, 0x08, 0x00, 3]).be32(3, 0xfffffffe).bytesAttr(10, [0x45, 1, 2]).end();
  const b = w.bytes;
  const p = queuedPacket();
  expect(readPacket(new DataView(b.buffer, b.byteOffset, b.byteLength), 0, b.length, p)).toBe(true);
  expect(p).toMatchObject({ id: 258, protocol: 0x800, hook: 3, mark: 0xfffffffe });
  expect([...b.subarray(p.at, p.end)]).toEqual([0x45, 1, 2]);
});

test("writeVerdict() writes one message with queue, verdict and id", () => {
  const v = new DataView(new ArrayBuffer(VERDICT_LEN));
  writeVerdict(v, 0, 7, NF.ACCEPT, 99, true);
  const [m] = messages(new Uint8Array(v.buffer));
  expect(m!.type).toBe(0x303);
  expect([...m!.body.subarray(0, 4)]).toEqual([0, 0, 0, 7]);
  expect([...new Attributes(m!.body, 4).bytes(2)!]).toEqual([0, 0, 0, 1, 0, 0, 0, 99]);
});
