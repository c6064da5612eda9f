import { expect, test } from "vitest";
import { commandOf, tally } from "./client.ts";
import { answerText } from "./servers.ts";

test("commandOf() is what a person would type, quoted where a shell needs it", () => {
  expect(commandOf({ kind: "http", url: "http://192.0.2.80/" })).toBe("curl -s http://192.0.2.80/");
  expect(commandOf({ kind: "http", url: "https://192.0.2.80/" })).toBe("curl -sk https://192.0.2.80/");
  expect(commandOf({ kind: "http", url: "http://[2001:db8::80]/" })).toBe(
    "curl -s -g 'http://[2001:db8::80]/'",
  );
  expect(commandOf({ kind: "udp", address: "192.0.2.80", port: 53, sourcePort: 5300 })).toBe(
    "lvsd lab-ask 192.0.2.80 53 --from-port 5300",
  );
});

test("tally() counts the answers of each server by name, and those that never came", () => {
  const from = (server: string) => ({ server, text: server });
  expect(tally([from("rs2"), from("rs1"), from("rs2"), from("")])).toBe("nobody 1, rs1 1, rs2 2");
});

test("answerText() tells an IPv4 client's address as such, also on a socket of both families", () => {
  expect(answerText({ name: "rs1", address: "10.0.0.1" }, "::ffff:192.0.2.9")).toBe(
    "rs1 10.0.0.1 answers 192.0.2.9",
  );
  expect(answerText({ name: "rs1", address: "10.0.0.1" }, "2001:db8::9")).toBe(
    "rs1 10.0.0.1 answers 2001:db8::9",
  );
});
