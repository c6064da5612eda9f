import fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader, MAX_LINE, parseRequest } from "./protocol.ts";

test("LineReader gives the same lines however the stream is cut", () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.nat(50)), (text, cuts) => {
      const reader = new LineReader();
      const lines: (string | undefined)[] = [];
      let at = 0;
      for (const cut of [...cuts, text.length]) {
        lines.push(...reader.push(text.slice(at, at + cut)));
        at += cut;
      }
      expect(lines).toEqual(text.split("\n").slice(0, -1));
    }),
  );
});

test("an endless line is reported once, not kept, and the next line is read", () => {
  const reader = new LineReader();
  expect(reader.push("x".repeat(MAX_LINE + 1))).toEqual([undefined]);
  expect(reader.push("y".repeat(MAX_LINE + 1))).toEqual([]);
  expect(reader.push("end\nnext\n")).toEqual(["next"]);
});

test("parseRequest() never throws and takes requests only", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseRequest(line)));
  expect(parseRequest("null")).toBeUndefined();
  expect(parseRequest('{"id":"1","method":"info","args":[]}')).toBeUndefined();
  expect(parseRequest('{"id":1,"method":"info","args":[]}')).toEqual({ id: 1, method: "info", args: [] });
});
