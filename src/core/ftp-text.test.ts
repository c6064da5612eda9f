import fc from "fast-check";
import { expect, test } from "vitest";
import { format227, isEpsv, isPasv, parse227, parse229, parseEprt, parsePort } from "./ftp-text.ts";

const FROM = 4;
/** A segment that lies behind four other bytes. */
const at = (text: string): [Uint8Array, number, number] => {
  const bytes = new TextEncoder().encode(`....${text}`);
  return [bytes, FROM, bytes.length];
};
const span = (text: string, found: { start: number; end: number } | undefined) =>
  found && text.slice(found.start - FROM, found.end - FROM);

test.each([
  ["PORT 10,1,0,2,156,64\r\n", "10,1,0,2,156,64"],
  ["port 10,1,0,2,156,64\r\n", "10,1,0,2,156,64"],
])("parsePort() reads %j", (text, numbers) => {
  const found = parsePort(...at(text));
  expect(found).toMatchObject({ address: Uint8Array.of(10, 1, 0, 2), port: 40000 });
  expect(span(text, found)).toBe(numbers);
});

test.each([
  "PORT 10,1,0,2,156,64",
  "PORT 10,1,0,2,156\r\n",
  "PORT 10,1,0,2,256,64\r\n",
  "PORT 10,1,0,2,0,0\r\n",
  "XPORT 10,1,0,2,156,64\r\n",
  "PORT 10,1,0,2,156,64,7\r\n",
])("parsePort() leaves %j alone", (text) => {
  expect(parsePort(...at(text))).toBeUndefined();
});

test("parseEprt() reads the connection's own family", () => {
  const four = "EPRT |1|132.235.1.2|6275|\r\n";
  expect(parseEprt(...at(four), 4)).toMatchObject({ address: Uint8Array.of(132, 235, 1, 2), port: 6275 });
  expect(span(four, parseEprt(...at(four), 4))).toBe("|1|132.235.1.2|6275|");
  expect(parseEprt(...at(four), 6)).toBeUndefined();
  const six = parseEprt(...at("EPRT |2|2001:db8::2|5282|\r\n"), 6);
  expect(six?.port).toBe(5282);
  expect(Array.from(six!.address)).toEqual([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
  for (const wrong of [
    "EPRT |1|132.235.1.2|0|\r\n",
    "EPRT |1|132.235.1.2|65536|\r\n",
    "EPRT |1|132.235.1.2|62",
  ]) {
    expect(parseEprt(...at(wrong), 4)).toBeUndefined();
  }
});

test("isPasv() and isEpsv() find their commands anywhere in the segment, whole ones only", () => {
  expect(isPasv(...at("PASV\r\n"))).toBe(true);
  expect(isPasv(...at("TYPE I\r\npasv\r\n"))).toBe(true);
  expect(isPasv(...at("PASV"))).toBe(false);
  expect(isEpsv(...at("EPSV\r\n"), 6)).toBe(true);
  expect(isEpsv(...at("EPSV 2\r\n"), 6)).toBe(true);
  expect(isEpsv(...at("EPSV 1\r\n"), 6)).toBe(false);
  expect(isEpsv(...at("EPSV 1\r\n"), 4)).toBe(true);
  expect(isEpsv(...at("EPSV ALL\r\n"), 4)).toBe(false);
});

test.each([
  "227 Entering Passive Mode (10,2,0,11,195,80).\r\n",
  "227 Entering Passive Mode 10,2,0,11,195,80\r\n",
  "227 10,2,0,11,195,80\r\n",
])("parse227() reads %j", (text) => {
  const found = parse227(...at(text));
  expect(found).toMatchObject({ address: Uint8Array.of(10, 2, 0, 11), port: 50000 });
  expect(span(text, found)).toBe("10,2,0,11,195,80");
});

test("parse229() reads the port and where it stands", () => {
  const text = "229 Entering Extended Passive Mode (|||6446|)\r\n";
  expect(parse229(...at(text))?.port).toBe(6446);
  expect(span(text, parse229(...at(text)))).toBe("6446");
  for (const wrong of [
    "229 ok (|||0|)\r\n",
    "229 ok (|||65536|)\r\n",
    "229 ok (||6446|)\r\n",
    "229 ok (|||64",
  ]) {
    expect(parse229(...at(wrong))).toBeUndefined();
  }
});

test("parse227() undoes format227(), whatever address and port", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 1, max: 65535 }),
      (address, port) => {
        const text = `227 ok (${new TextDecoder().decode(format227(address, port))})\r\n`;
        const found = parse227(...at(text));
        expect(found?.port).toBe(port);
        expect(new DataView(found!.address.buffer).getUint32(0)).toBe(address);
      },
    ),
  );
});

test("nothing throws on garbage, and what is found lies inside the segment", () => {
  const bit = fc.constantFrom(
    "PORT ",
    "EPRT ",
    "227 ",
    "229 ",
    "(",
    "|",
    ",",
    "1",
    "65535",
    "::",
    "\r\n",
    "é",
  );
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 25 }), fc.nat(6), (bits, cut) => {
      const [bytes, from, end] = at(bits.join(""));
      const to = Math.max(from, end - cut);
      const found = [
        parsePort(bytes, from, to),
        parse227(bytes, from, to),
        parse229(bytes, from, to),
        parseEprt(bytes, from, to, 4),
        parseEprt(bytes, from, to, 6),
      ];
      isPasv(bytes, from, to);
      isEpsv(bytes, from, to, 4);
      for (const f of found) {
        if (!f) continue;
        expect(f.start).toBeGreaterThanOrEqual(from);
        expect(f.end).toBeLessThanOrEqual(to);
        expect(f.port).toBeGreaterThan(0);
        expect(f.port).toBeLessThanOrEqual(65535);
      }
    }),
  );
});
