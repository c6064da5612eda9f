import fc from "fast-check";
import { expect, test } from "vitest";
import { callId } from "./sip.ts";

/** The Call-ID found in a message that lies behind three other bytes. */
function found(message: string): string | undefined {
  const bytes = new TextEncoder().encode(`xyz${message}`);
  const at = callId(bytes, 3, bytes.length);
  return at && new TextDecoder().decode(bytes.subarray(at.start, at.end));
}
const invite = (header: string) => `INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n${header}`;

test.each([
  ["Call-ID: a84b4c76e66710@pc33.example.com\r\n", "a84b4c76e66710@pc33.example.com"],
  ["CALL-id:f81d4fae\r\n", "f81d4fae"],
  ["Call-ID \t:  x@[2001:db8::1]\n", "x@[2001:db8::1]"],
  ["i: short@host\r\n", "short@host"],
  ["Info: no\r\nCall-ID: yes@host\r\n", "yes@host"],
  [`Call-ID: ${"a".repeat(255)}\r\n`, "a".repeat(255)],
])("callId() of %j is %j", (header, expected) => {
  expect(found(invite(header))).toBe(expected);
});

test.each([
  ["there is none", "Max-Forwards: 70\r\n"],
  ["no line end follows", "Call-ID: a84b@host"],
  ["something else follows", "Call-ID: a84b@host x\r\n"],
  ["it is empty", "Call-ID: \r\n"],
  ["it is longer than 255 bytes", `Call-ID: ${"a".repeat(256)}\r\n`],
  ["its host is empty", "Call-ID: a84b@\r\n"],
  ["there is no colon", "Call-ID a84b\r\n"],
])("callId() finds nothing when %s", (_why, header) => {
  expect(found(invite(header))).toBeUndefined();
});

test("callId() does not look at the first line", () => {
  expect(found("Call-ID: a@b\r\n")).toBeUndefined();
});

test("callId() never throws, and what it finds lies inside and ends a line", () => {
  const bit = fc.constantFrom("Call-ID", "i", ":", " ", "\r", "\n", "\r\n", "@", "abc", "x", "\u0000");
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 30 }), fc.nat(5), (bits, cut) => {
      const bytes = new TextEncoder().encode(bits.join(""));
      const to = Math.max(0, bytes.length - cut);
      const at = callId(bytes, 0, to);
      if (!at) return;
      expect(at.start).toBeLessThan(at.end);
      expect(at.end).toBeLessThan(to);
      expect([10, 13]).toContain(bytes[at.end]);
    }),
  );
});
