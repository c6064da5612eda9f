import { describe, expect, test } from "vitest";
import { realServer, virtualServer } from "../../testkit/supervisor-bed.ts";
import { meansServer, meansService, serverName, virtualKey } from "./names.ts";

const web = virtualServer("10.0.0.1:80", [realServer("10.0.1.1")]);
const mark = (family: 4 | 6) => ({
  ...web,
  name: "FWM 9",
  ids: [{ kind: "fwmark", family, fwmark: 9 }] as const,
});

describe("names", () => {
  test("of servers have the protocol of their service, and none under a firewall mark", () => {
    const id = web.servers[0].id;
    expect(serverName(web, id)).toBe("[10.0.1.1]:tcp:80");
    expect(serverName(mark(4), { ...id, port: 0 })).toBe("[10.0.1.1]:none:0");
  });

  test("tell apart one mark in two families", () => {
    expect(virtualKey(mark(4))).not.toBe(virtualKey(mark(6)));
  });

  test("are understood in every form that people write", () => {
    for (const text of ["[10.0.0.1]:tcp:80", "tcp 10.0.0.1:80", "10.0.0.1:80"])
      expect(meansService(text, web), text).toBe(true);
    expect(meansService("10.0.0.1:8", web)).toBe(false);
    for (const text of ["FWM 9", "fwmark 9", "9"]) expect(meansService(text, mark(4)), text).toBe(true);
    const { id } = web.servers[0];
    for (const text of ["[10.0.1.1]:tcp:80", "10.0.1.1:80", "10.0.1.1"])
      expect(meansServer(text, "[10.0.1.1]:tcp:80", id), text).toBe(true);
    expect(meansServer("10.0.1.11", "[10.0.1.1]:tcp:80", id)).toBe(false);
  });
});
