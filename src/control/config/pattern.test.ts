import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PatternOptions, translatePattern } from "./pattern.ts";

function matches(source: string, text: string, options: PatternOptions = {}): boolean {
  const result = translatePattern(source, options);
  if (!result.ok) throw new Error(result.reason);
  return new RegExp(result.pattern.source, result.pattern.flags).test(text);
}

// Pattern, text, whether PCRE and Perl find it.
const CASES: readonly [string, string, boolean][] = [
  ["^ok$", "ok\n", true],
  ["^ok$", "ok\n\n", false],
  ["ok\\z", "ok\n", false],
  ["ok\\Z", "ok\n", true],
  ["\\Aok", "not ok", false],
  ["^b", "a\nb", false],
  ["(?m)^b$", "a\nb\nc", true],
  ["a.b", "a\nb", false],
  ["(?s)a.b", "a\nb", true],
  ["(?i)HELLO", "hello", true],
  ["(?im)^OK$", "x\nok\ny", true],
  ["(?x) a b # comment\n c", "abc", true],
  ["[[:digit:]]+[[:^digit:]]", "12x", true],
  ["[[:alpha:][:space:]]{3}", "a b", true],
  ["\\Qa.b\\E", "a.b", true],
  ["\\Qa.b\\E", "axb", false],
  ["a++b", "aaab", true],
  ["a++ab", "aaab", false],
  ["(?>a+)ab", "aaab", false],
  ["(?>a+)b", "aaab", true],
  ["x(?>a|ab)c", "xabc", false],
  ["(a)(?>b+)(c)\\2", "abbcc", true],
  ["(a)\\1", "aa", true],
  ["(?<n>a)\\k<n>", "aa", true],
  ["(?P<n>a)\\k{n}", "aa", true],
  ["(a)(b)\\g{-1}", "abb", true],
  ["\\x41\\x{42}\\103", "ABC", true],
  ["\\x41\\x{42}\\o{103}", "ABC", true],
  ["a{,2}", "a{,2}", true],
  ["a{2}", "aa", true],
  ["]", "]", true],
  ["[]a]+", "]a", true],
  ["[^]a]", "b", true],
  ["a/b", "a/b", true],
  ["(?#remark)a", "a", true],
  ["a\\h+b", "a \tb", true],
  ["\\R", "\r\n", true],
  ["(?:a|b)+c", "abac", true],
  ["a(?=b)", "ab", true],
  ["(?<!a)b", "ab", false],
  ["\\$5\\.00", "$5.00", true],
];

describe("translatePattern()", () => {
  it.each(CASES)("%j in %j: %s", (source, text, expected) => {
    expect(matches(source, text)).toBe(expected);
  });

  it("obeys the options of keepalived's regex_options", () => {
    expect(matches("OK", "ok", { ignoreCase: true })).toBe(true);
    expect(matches("^b", "a\nb", { multiline: true })).toBe(true);
    expect(matches("a.b", "a\nb", { dotAll: true })).toBe(true);
    expect(matches("a b", "ab", { extended: true })).toBe(true);
    expect(matches("b", "ab", { anchored: true })).toBe(false);
    expect(matches("b$", "b\n", { dollarEndOnly: true })).toBe(false);
    expect(matches("^a{,2}$", "aa", { perl: true })).toBe(true);
  });

  it.each([
    ["(?R)", "recursion"],
    ["(?(1)a|b)", "condition"],
    ["(?|a|b)", "share numbers"],
    ["a\\Kb", "\\K"],
    ["\\p{L}", "\\p"],
    ["(a", "not closed"],
    ["a)", "closes nothing"],
    ["[a", "not closed"],
    ["*a", "nothing that it could repeat"],
    ["a\\", "backslash"],
    ["(?i:(a)\\1)", "(?i) at the start"],
    ["a{2}{3}", "{3} follows nothing"],
    ["\\b{wb}", "\\b{"],
    ["\\N{U+41}", "\\N{"],
    ["\\x{1F600}", "one byte"],
    ["\\k<x>", "group x"],
    ["(a)++", "capture"],
  ])("refuses %s by name", (source, reason) => {
    const result = translatePattern(source);
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.reason).toContain(reason);
  });

  it.each([
    ["(?i:ab[c-d])e", "xABDe", true],
    ["(?i:ab[c-d])e", "ABDE", false],
    ["(?i:[^a])", "A", false],
    ["(?i)ab(?-i:c)", "ABc", true],
    ["(?i)ab(?-i:c)", "ABC", false],
    ["x((?i)y)z", "xYz", true],
    ["x((?i)y)z", "xyZ", false],
    ["a(?i)b|c", "C", true],
    ["a(?s:.)b.", "a\nb\n", false],
    ["a(?s:.)b.", "a\nbc", true],
    ["\\xA$", "a\n", true],
    ["\\xAg", "\ng", true],
  ])("%s on %j (flags for a part, short escapes): %s, as Perl has it", (source, text, expected) => {
    expect(matches(source, text)).toBe(expected);
  });

  it("never throws, and what it gives can be used", () => {
    const piece = fc.constantFrom(..."ab^$.*+?()[]{}|\\/-,:=!<>#PKQEAzZdwsxi12 \n".split(""));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const result = translatePattern(pieces.join(""));
        if (result.ok) new RegExp(result.pattern.source, result.pattern.flags).exec("");
      }),
      { seed: 5, numRuns: 3000 },
    );
  });

  it("finds plain words as they are", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]{0,20}$/), (text) => {
        expect(matches(text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), `<${text}>`)).toBe(true);
      }),
      { seed: 5 },
    );
  });
});
