import fc from "fast-check";
import { expect, it } from "vitest";
import { format4 } from "../../../wire/address.ts";
import { makeNames } from "../names.ts";
import { leadingNumber, readEndpoint, readIpv4, readNumber } from "./address.ts";

const names = makeNames({
  hosts: () => "10.0.0.7 vip\n",
  services: () => "http 80/tcp\n",
  resolver: async () => undefined,
});

it("readIpv4() takes the classic forms and refuses the rest", () => {
  expect(readIpv4("10.1")).toBe(0x0a000001);
  expect(readIpv4("10.2.3")).toBe(0x0a020003);
  expect(readIpv4("0x0a000009")).toBe(0x0a000009);
  expect(readIpv4("012.0.0.010")).toBe(0x0a000008);
  expect(readIpv4("4294967295")).toBe(0xffffffff);
  for (const text of [
    "",
    "256.0.0.1",
    "1.2.3.4.5",
    "08.0.0.1",
    "1..2",
    "0x",
    "4294967296",
    "1.65536.1",
    "a",
  ]) {
    expect(readIpv4(text), text).toBeUndefined();
  }
});

it("readIpv4() undoes the dotted quad of every address", () => {
  fc.assert(fc.property(fc.nat(0xffffffff), (n) => readIpv4(format4(n)) === n));
});

it("readNumber() is strtol with limits, leadingNumber() is atoi", () => {
  expect(readNumber(" +010", 0, 99)).toBe(10);
  expect(readNumber("-1", 0, 99)).toBeUndefined();
  for (const text of ["", "0x10", "1.5", "5s", "100"]) expect(readNumber(text, 0, 99)).toBeUndefined();
  expect(leadingNumber("64bits")).toBe(64);
  expect(leadingNumber("bits")).toBe(0);
});

it("readEndpoint() reads addresses, names, brackets and ports, and says what is wrong with others", async () => {
  const read = (word: string) => readEndpoint(word, "tcp", names);
  expect(await read("vip:http")).toEqual({ family: 4, address: "10.0.0.7", port: 80 });
  expect(await read("2887000833:80")).toEqual({ family: 4, address: "172.20.35.1", port: 80 });
  expect(await read("2001:db8::1:80")).toEqual({ family: 6, address: "2001:db8::1:80", port: undefined });
  expect(await read("[2001:DB8::1]:0080")).toEqual({ family: 6, address: "2001:db8::1", port: 80 });
  expect(await read("[10.0.0.1]:80")).toEqual({ family: 4, address: "10.0.0.1", port: 0 });
  expect(await read("80")).toBe("no-port-number");
  expect(await read(":80")).toBe("empty");
  expect(await read("[2001:db8::1]")).toBe("bracket-without-port");
  expect(await read("fe80::1%eth0")).toBe("zone");
  expect(await read("10.0.0.1:65536")).toBe("port-range");
  expect(await readEndpoint("10.0.0.1:http", undefined, names)).toBe("port-name-before-service");
});

it("readEndpoint() answers to any text", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: fc.constantFrom(..."0123456789abcx:.[]%/ -") }), async (text) => {
      expect(await readEndpoint(text, "udp", names)).toBeDefined();
    }),
  );
});
