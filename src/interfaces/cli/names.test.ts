import { expect, it } from "vitest";
import { makeNames, usesDns } from "./names.ts";

const names = (resolver?: Parameters<typeof makeNames>[0]["resolver"]) =>
  makeNames({
    hosts: () =>
      "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.1 vip.example.net VIP # one\n2001:DB8::1 vip6\n",
    services: () => "http 80/tcp www\ndomain 53/tcp\ndomain 53/udp\n",
    resolver: resolver ?? (async () => undefined),
  });

it("host names are found by any name on the line, in any case, as IPv4 only", async () => {
  expect(await names().hostAddress("vip")).toBe("10.0.0.1");
  expect(await names().hostAddress("Vip.Example.NET")).toBe("10.0.0.1");
  expect(await names().hostAddress("vip6")).toBeUndefined();
  expect(await names().hostAddress("ip6-localhost")).toBe("127.0.0.1");
});

it("addresses get the first name on their line, IPv6 ones in any spelling", async () => {
  const found = await names().hostNames(["10.0.0.1", "2001:db8::1", "10.0.0.9"]);
  expect([...found]).toEqual([
    ["10.0.0.1", "vip.example.net"],
    ["2001:db8::1", "vip6"],
  ]);
});

it("ports are looked up for their protocol, aliases too", () => {
  expect(names().portNumber("www", "tcp")).toBe(80);
  expect(names().portNumber("http", "udp")).toBeUndefined();
  expect(names().portNumber("HTTP", "tcp")).toBeUndefined();
  expect(names().portName(53, "udp")).toBe("domain");
});

it("the DNS is asked once, for all addresses that the files do not know", async () => {
  const asked: string[][] = [];
  const found = await names(async () => ({
    address: async () => undefined,
    names: async (addresses) => {
      asked.push([...addresses]);
      return new Map([["10.0.0.8", "eight"]]);
    },
  })).hostNames(["10.0.0.1", "10.0.0.8", "10.0.0.9", "10.0.0.8"]);
  expect(asked).toEqual([["10.0.0.8", "10.0.0.9"]]);
  expect(found.get("10.0.0.8")).toBe("eight");
});

it("usesDns() follows the hosts line of nsswitch.conf and glibc's default", () => {
  expect(usesDns("passwd: files\nhosts: files dns\n")).toBe(true);
  expect(usesDns("hosts: files # dns\n")).toBe(false);
  expect(usesDns("passwd: files\n")).toBe(true);
});
