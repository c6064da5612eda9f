import { expect, it } from "vitest";
import { editDistance, suggest } from "./suggest.ts";

it("editDistance() counts inserted, deleted, replaced and swapped letters", () => {
  expect(editDistance("retry", "retry")).toBe(0);
  expect(editDistance("rety", "retry")).toBe(1);
  expect(editDistance("rerty", "retry")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
});

it("suggest() finds the nearest word, whatever its case, and none for a stranger", () => {
  const words = ["delay_loop", "lb_algo", "lb_kind", "protocol"];
  expect(suggest("delayloop", words)).toBe("delay_loop");
  expect(suggest("Protocol", words)).toBe("protocol");
  expect(suggest("lb_algorithm", words)).toBeUndefined();
  expect(suggest("colour", words)).toBeUndefined();
});
