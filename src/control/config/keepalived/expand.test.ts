// biome-ignore-all lint/suspicious/noTemplateCurlyInString: parameters of the language look like that
import { describe, expect, it } from "vitest";
import { codes, reading } from "./testing.ts";

/** The statements of a configuration, blocks in parentheses. */
function shape(text: string, options = {}, others: Record<string, string> = {}): string {
  type Node = { words: readonly { text: string }[]; block?: Node[] };
  const show = (nodes: readonly Node[]): string =>
    nodes
      .map(({ words, block }) => words.map((w) => w.text).join(" ") + (block ? `(${show(block)})` : ""))
      .join("; ");
  return show(reading(text, options, others).tree);
}

describe("lines", () => {
  it.each([
    ["a b # c", "a b"],
    ["a b ! c", "a b"],
    ["105!x", "105"],
    ['a "b # c" d', "a b # c d"],
    ["a \\# \\! b", "a # ! b"],
    ["a { b } c", "a(b); c"],
    ["a\n{\nb\n}\n", "a(b)"],
    ["a\t\v\f b\r\n", "a b"],
    ['a "b"c', "a b c"],
    ["a\u00a0b", "a b"],
    ["a \u201cb c\u201d", "a b c"],
  ])("%j is %s", (text, expected) => {
    expect(shape(text)).toBe(expected);
  });
});

describe("files that include each other", () => {
  it("are read once, with a message at the line, however often they do", () => {
    const others = { "/etc/b.conf": "b 1\ninclude *.conf\ninclude k.conf\n" };
    const found = reading("include *.conf\ninclude *.conf\na\n", {}, others);
    const circles = found.diagnostics.filter(({ code }) => code === "include-circle");
    expect(circles.map(({ at }) => `${at.file}:${at.line}`)).toEqual([
      "/etc/k.conf:1",
      "/etc/k.conf:2",
      "/etc/b.conf:2",
      "/etc/b.conf:2",
      "/etc/b.conf:3",
    ]);
    expect(found.tree.map(({ words }) => words[0].text)).toEqual(["b", "b", "a"]);
  });

  it("end also when every one has a name of its own", () => {
    const tree: Record<string, string> = {};
    for (let i = 0; i < 40; i++) tree[`/etc/f${i}.conf`] = `include f${i + 1}.conf\ninclude f${i + 1}.conf\n`;
    const codes = reading("include f0.conf\n", {}, tree).diagnostics.map(({ code }) => code);
    expect(codes).toContain("too-much");
  });
});

it("a place behind escapes, parameters and characters of two units is still the right one", () => {
  const read = reading(
    '$A=x\nglobal_defs {\n router_id "\u{1f600}" # \\#\n nonsense\\# \u{1f600} ${A} } foo\n',
  );
  expect(codes(read)).toEqual(["4:2 warning unknown-keyword", "4:23 warning unknown-keyword"]);
});

describe("parameters", () => {
  it.each([
    ["$P=80\na $P,$P) $P. ${P}x", "a 80,80) $P. 80x"],
    ["$A=1\n$B=${A}2\n$A=3\nx $B", "x 32"],
    ["$N=\na x${N}y", "a xy"],
    ["$B=b \\\nc { \\\nd \\\n}\na\n$B\n", "a; b; c(d)"],
    ["$B=b # one \\\nc # two\n$B", "b; c"],
    ["a ${_PWD} ${_INSTANCE} ${_RANDOM 3 4}", "a /etc host 4"],
    ['a ${_HASH} b\nc "${_HASH}"', "a; c #"],
    ["a $UNKNOWN", "a $UNKNOWN"],
  ])("%j is %s", (text, expected) => {
    expect(shape(text)).toBe(expected);
  });

  it("that lead back to themselves are told, and end", () => {
    expect(codes(reading("$A=${A}x\na ${A}\n"))).toContain("2:3 error endless-parameter");
    expect(codes(reading("$A=b \\\n${A}\n$A\n")).some((code) => /too-much|endless/.test(code))).toBe(true);
  });

  it("keep the place of their use in messages", () => {
    const { diagnostics } = reading("$V=nonsense\nglobal_defs {\n smtp_connect_timeout $V\n}\n");
    expect(diagnostics.map(({ at, length }) => [at.line, at.column, length])).toEqual([[3, 23, 1]]);
  });
});

describe("sequences and lists", () => {
  it.each([
    ["~SEQ(I,2,4) a$I", "a2; a3; a4"],
    ["~SEQ(I,2,4) a${I}", "a2; a3; a4"],
    ["~SEQ(I,3) a${I}", "a1; a2; a3"],
    ["~SEQ(I,-2) a${I}", "a-1; a-2"],
    ["~SEQ(I,5,3) a${I}", "a5; a4; a3"],
    ["~SEQ(I,1,2,5) a${I}", "a1; a3; a5"],
    ["~SEQx(I,0x9,0xb) a${I}", "a9; aa; ab"],
    ["~LST(I,x, y) a${I}", "ax; ay"],
    ["~LST({A,B},{1,2},{3,4}) a${A}b${B}", "a1b2; a3b4"],
    ["~SEQ(I,1,2) ~LST(J,x,y) ${I}${J}", "1x; 1y; 2x; 2y"],
    ["~SEQ(I,1,2) a { b${I} }", "a(b1); a(b2)"],
  ])("%j is %s", (text, expected) => {
    expect(shape(text)).toBe(expected);
  });

  it.each(["~SEQ(I,5,1,1) a", "~SEQ(I,1,0,5) a", "~SEQ(I) a", "~LST({A,B},{1}) a", "~SEQ(I,1 a"])(
    "%s is told and left out",
    (text) => {
      expect(codes(reading(text))).toEqual(["1:1 error bad-sequence"]);
    },
  );
});

it("conditions keep a line for one configuration only", () => {
  const text = "@one a\n@^one b\n@two c\n@one $P=1\n@^one $P=2\nd ${P}\n@\n";
  expect(shape(text, { configId: "one" })).toBe("a; d 1");
  expect(shape(text, { configId: "two" })).toBe("b; c; d 2");
});

describe("includes", () => {
  const others = {
    "/etc/d/1.conf": "x\ninclude more/*.conf\n",
    "/etc/d/more/2.conf": "y ${_PWD}\n",
    "/etc/e.conf": "}\nz",
  };

  it("are read where they stand, relative to their file", () => {
    expect(shape("a\ninclude d/*.conf\nb", {}, others)).toBe("a; x; y /etc/d/more; b");
  });

  it("may end a block that began outside", () => {
    expect(shape("a {\nb\ninclude e.conf\n", {}, others)).toBe("a(b); z");
  });

  it.each([
    ["include none.conf", "warning", 0],
    ["includem none.conf", "error", 5],
    ["includea none.conf", "error", 6],
    ["includew none*.conf", "error", 5],
    ["includeb d/{1,2}.conf", "error", 5],
  ])("%s: %s, status %i", (text, severity, status) => {
    const { diagnostics, said } = reading(text, {}, others);
    expect(diagnostics.find(({ code }) => code === "include-missing")?.severity).toBe(severity);
    expect(said.find(({ code }) => code === "include-missing")?.status).toBe(status);
  });

  it("includem with a wildcard may match nothing", () => {
    expect(codes(reading("includem none*.conf"))).toEqual([]);
  });
});
