import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { expect, test } from "vitest";
import { address4, address6, bytes6, u32, viewOfBytes } from "../testkit/wire.ts";
import {
  compareAddresses,
  equalWords,
  fold,
  format4,
  formatAddress,
  maskWords,
  parse4,
  parseAddress,
  readWords,
  toWords,
  wordsToText,
  writeWords,
} from "./address.ts";

/** The bytes ipaddr.js reads. It takes `::1.2.3.4` for `::ffff:1.2.3.4`, so it is shown no dotted ends. */
function oracle(text: string): number[] {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted === null) return ipaddr.parse(text).toByteArray();
  const [a, b, c, d] = ipaddr.IPv4.parse(dotted[2]).octets;
  return ipaddr
    .parse(`${dotted[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`)
    .toByteArray();
}

const text6 = (text: string) => formatAddress(6, parseAddress(text)?.bytes ?? new Uint8Array(0));

test("parse4() undoes format4()", () => {
  fc.assert(
    fc.property(u32, (n) => {
      expect(parse4(format4(n))).toBe(n);
    }),
  );
  expect(format4(-1)).toBe("255.255.255.255");
});

test.each([
  "",
  "1",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "00.0.0.0",
  "1..3.4",
  ".1.2.3",
  "1.2.3.",
  " 1.2.3.4",
  "1.2.3.4 ",
  "1.2.3.-4",
  "0x1.2.3.4",
  "1.2.3.4/8",
])("parse4() refuses %j", (text) => {
  expect(parse4(text)).toBeUndefined();
  expect(parseAddress(text)).toBeUndefined();
});

test.each([
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "g::",
  "1:2:3:4:5:6:7:",
  ":1:2:3:4:5:6:7",
  "::1.2.3",
  "::1.2.3.256",
  "1.2.3.4::",
  "::1.2.3.4:5",
  "::1%eth0",
  "[::1]",
  "1:2:3:4:5:6:7:1.2.3.4",
  "::01.2.3.4",
  "1.2.3.4:1:2:3:4:5:6",
])("parseAddress() refuses %j", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

// The outputs of inet_ntop(3), glibc 2.36.
test.each([
  ["0:0:0:0:0:0:0:0", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["::10.0.0.1", "::10.0.0.1"],
  ["::ffff:a00:1", "::ffff:10.0.0.1"],
  ["::1:0", "::0.1.0.0"],
  ["::ffff:0:0", "::ffff:0.0.0.0"],
  ["::ffff:0:a00:1", "::ffff:0:a00:1"],
  ["::fffe:a00:1", "::fffe:a00:1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["1:2:3:4:5:6::", "1:2:3:4:5:6::"],
  ["0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["0001:0002::000a", "1:2::a"],
])("formatAddress() shows %s as %s", (text, shown) => {
  expect(text6(text)).toBe(shown);
  expect(text6(shown)).toBe(shown);
});

test("parseAddress() undoes formatAddress(), and ipaddr.js reads the same bytes", () => {
  fc.assert(
    fc.property(bytes6, (bytes) => {
      const text = formatAddress(6, bytes);
      expect(parseAddress(text)).toEqual({ family: 6, bytes });
      expect(oracle(text)).toEqual([...bytes]);
      // ipaddr.js never writes the dotted end; elsewhere both follow RFC 5952.
      if (!text.includes(".")) expect(text).toBe(new ipaddr.IPv6([...bytes]).toRFC5952String());
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      expect(parseAddress(formatAddress(4, bytes))).toEqual({ family: 4, bytes });
    }),
  );
});

test("parseAddress() accepts no text that ipaddr.js refuses", () => {
  const piece = fc.constantFrom(":", "::", "0", "1", "ffff", "a", "00", "1.2.3.4", ".", "256", "%", " ");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join("");
      const address = parseAddress(text);
      if (address !== undefined) expect(oracle(text)).toEqual([...address.bytes]);
    }),
    { numRuns: 2000 },
  );
});

test("toWords() and wordsToText() undo each other, at any offset", () => {
  fc.assert(
    fc.property(fc.oneof(address4, address6), (text) => {
      const family = text.includes(":") ? 6 : 4;
      expect(wordsToText(family, toWords(text))).toBe(text);
      const table = new Int32Array(12).fill(7);
      table.set(toWords(text), 4);
      expect(wordsToText(family, table, 4)).toBe(text);
    }),
  );
  expect(() => toWords("10.0.0")).toThrow('"10.0.0" is not an IP address');
  expect([...toWords("10.0.0.1")]).toEqual([0x0a000001, 0, 0, 0]);
});

test("writeWords() puts back what readWords() took, and touches nothing else", () => {
  fc.assert(
    fc.property(fc.oneof(address4, address6), (text) => {
      const family = text.includes(":") ? 6 : 4;
      const v = viewOfBytes(new Uint8Array(24).fill(0x55));
      writeWords(family, v, 3, toWords(text));
      const into = new Int32Array(4).fill(9);
      readWords(family, v, 3, into);
      expect(into).toEqual(toWords(text));
      expect(v.getUint8(2)).toBe(0x55);
      expect(v.getUint8(3 + (family === 4 ? 4 : 16))).toBe(0x55);
    }),
  );
});

test("maskWords() keeps the network part that ipaddr.js finds", () => {
  fc.assert(
    fc.property(bytes6, fc.integer({ min: 0, max: 128 }), (bytes, prefix) => {
      const words = toWords(formatAddress(6, bytes));
      maskWords(6, prefix, words);
      // Hexadecimal groups only: ipaddr.js 2.5 masks a dotted quad at the end wrongly.
      const groups = ipaddr.fromByteArray([...bytes]).toNormalizedString();
      const wanted = ipaddr.IPv6.networkAddressFromCIDR(`${groups}/${prefix}`).toByteArray();
      expect(words).toEqual(toWords(formatAddress(6, Uint8Array.from(wanted))));
    }),
  );
  const words = toWords("192.0.2.77");
  maskWords(4, 0xffffff00, words);
  expect(wordsToText(4, words)).toBe("192.0.2.0");
});

test("fold() is unsigned: IPv4 itself, IPv6 the exclusive or of its words", () => {
  expect(fold(4, toWords("255.0.0.1"))).toBe(0xff000001);
  expect(fold(6, toWords("8000::1"))).toBe(0x80000001);
  expect(fold(6, toWords("2001:db8::2001:db8"))).toBe(0);
});

test("compareAddresses() orders as unsigned numbers, and equalWords() agrees with it", () => {
  const sorted = ["8000::", "::1", "7fff::", "::2", "::ffff:ffff"].map(toWords).sort(compareAddresses);
  expect(sorted.map((w) => wordsToText(6, w))).toEqual([
    "::1",
    "::2",
    "::255.255.255.255",
    "7fff::",
    "8000::",
  ]);
  fc.assert(
    fc.property(bytes6, bytes6, (a, b) => {
      const [x, y] = [a, b].map((bytes) => toWords(formatAddress(6, bytes)));
      const byBytes = a.findIndex((byte, i) => byte !== b[i]);
      const wanted = byBytes < 0 ? 0 : Math.sign(a[byBytes] - b[byBytes]);
      expect(Math.sign(compareAddresses(x, y))).toBe(wanted);
      expect(equalWords(x, y)).toBe(wanted === 0);
    }),
  );
});
