import { describe, expect, it } from "vitest";
import { applyEdits } from "../fixes.ts";
import { around, codes, reading } from "./testing.ts";

const VI = "interface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.9\n}\n";

describe("braces", () => {
  it("a block without { is entered anyway", () => {
    const read = reading(`vrrp_instance A\n${VI}}\n`);
    expect(codes(read)).toEqual(["1:1 warning missing-open-brace"]);
    expect(read.wanted.vrrp.instances[0]).toMatchObject({ name: "A", routerId: 5 });
  });

  it("a block without any braces before another block is empty, and swallows nothing", () => {
    const read = reading(around("PING_CHECK\nTCP_CHECK {\nconnect_port 81\n}\nTCP_CHECK\nTCP_CHECK { }"));
    expect(codes(read)).toEqual(["8:1 warning missing-open-brace", "12:1 warning missing-open-brace"]);
    const [server] = read.wanted.virtualServers[0].servers;
    expect(server.checks.map(({ spec }) => `${spec.kind} ${spec.target.port}`)).toEqual([
      "ping 8080",
      "tcp 81",
      "tcp 8080",
      "tcp 8080",
    ]);
  });

  it("one that is missing at the end is told at the block it leaves open", () => {
    const read = reading(`vrrp_instance A {\n${VI}`);
    expect(codes(read)).toEqual(["1:1 error missing-close-brace"]);
    expect(read.wanted.vrrp.instances.length).toBe(1);
  });

  it("a { without a keyword hides what it holds", () => {
    expect(codes(reading("{\nfoo\n}\n"))).toEqual(["1:1 error unexpected-open-brace"]);
  });

  it("a } too many changes nothing that follows", () => {
    const read = reading(`}\nvrrp_instance A {\n${VI}}\n`);
    expect(codes(read)).toEqual(["1:1 warning extra-close-brace"]);
    expect(read.wanted.vrrp.instances.length).toBe(1);
  });

  it("a keyword that has no block is told, and what follows its block is read", () => {
    const read = reading(`vrrp_instance A {\npriority 9 {\nfoo\n}\n${VI}}\n`);
    expect(codes(read)).toEqual(["2:1 warning unexpected-open-brace"]);
    expect(read.wanted.vrrp.instances[0]).toMatchObject({ priority: 9, routerId: 5 });
  });
});

it("an open quote takes the rest of its line, and is told at the quote", () => {
  expect(codes(reading('global_defs {\nrouter_id "a b\n}\n'))).toEqual(["2:11 warning unterminated-quote"]);
});

it("applyEdits() puts edits of one line side by side, and lines at the end", () => {
  const at = (line: number, column: number, length: number, text: string) => ({
    file: "f",
    line,
    column,
    length,
    text,
  });
  const edits = [at(1, 5, 1, "X"), at(1, 1, 3, "one"), at(99, 1, 0, "}")];
  expect(applyEdits("abc d e\nf\n\n", edits)).toBe("one X e\nf\n}\n");
});
