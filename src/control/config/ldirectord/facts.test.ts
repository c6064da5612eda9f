import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { machineFacts, machineNames, readServices } from "./facts.ts";

test("names of ports are those of services(5), per protocol, aliases too", () => {
  const ports = readServices("# comment\nhttp\t80/tcp\t\twww # web\ndomain 53/tcp\ndomain 53/udp\nbroken\n");
  expect([
    ports.get("http/tcp"),
    ports.get("www/tcp"),
    ports.get("http/udp"),
    ports.get("domain/udp"),
  ]).toEqual([80, 80, undefined, 53]);
});

test("hosts are found as the C library finds them, and a name that is none is no crash", () => {
  const names = machineNames();
  expect(names.address("localhost", 4)).toBe("127.0.0.1");
  expect(names.address("no such host", 4)).toBeUndefined();
  expect(names.address("--version", 4)).toBeUndefined();
});

test("whether a file can be written is found out without making it", () => {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-facts-"));
  try {
    const { appendRefusal, files } = machineFacts();
    expect(appendRefusal(join(folder, "log"))).toBeUndefined();
    expect(files.kind(join(folder, "log"))).toBeUndefined();
    expect(appendRefusal(join(folder, "nowhere/log"))).toBe("No such file or directory");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
