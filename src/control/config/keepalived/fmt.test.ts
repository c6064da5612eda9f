import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyEdits } from "../fixes.ts";
import { formatKeepalived } from "./fmt.ts";
import { reading } from "./testing.ts";

const GOLDEN = join(import.meta.dirname, "../../../../test/golden/keepalived");
const goldens = readdirSync(GOLDEN).filter((name) => name.endsWith(".conf"));

const plain = (text: string) =>
  JSON.stringify(reading(text).wanted, (key, value) => (key === "at" ? undefined : value));

it("formatKeepalived() writes one statement a line, and keeps comments and blank lines", () => {
  const text = `! head

global_defs
{
router_id   "a  b"   # who
  notify_fifo '/x  y'
}


virtual_server 10.0.0.1 80 { lb_algo rr  # how
real_server 10.0.0.2 80 { weight 6 } }
@one vrrp_instance  X { # open
~SEQ(I,1,2) foo { bar  $I }
$B=a \\
   b
`;
  expect(formatKeepalived(text)).toBe(`! head

global_defs {
    router_id "a  b" # who
    notify_fifo '/x  y'
}

virtual_server 10.0.0.1 80 {
    lb_algo rr # how
    real_server 10.0.0.2 80 {
        weight 6
    }
}
@one vrrp_instance X { # open
    ~SEQ(I,1,2) foo { bar  $I }
$B=a \\
   b
`);
});

describe.each(goldens)("%s", (name) => {
  const text = readFileSync(join(GOLDEN, name), "utf8");

  it("is formatted to itself once it is formatted, and means the same", () => {
    const once = formatKeepalived(text);
    expect(formatKeepalived(once)).toBe(once);
    expect(plain(once)).toBe(plain(text));
  });
});

/** Pieces from which odd but possible files are made. */
const piece = fc.constantFrom(
  "virtual_server 10.0.0.1 80",
  "real_server 10.0.0.2 80",
  "lb_algo  rr",
  "protocol TCP",
  "weight 3",
  "TCP_CHECK",
  "misc_path \"/bin/a  'b'\"",
  "notify_up '/bin/x  y'",
  "global_defs",
  'router_id  "a # b"',
  "{",
  "}",
  " { ",
  " } ",
  "\n",
  "\n\n",
  "# comment",
  "! x { y",
  "@a ",
  "@^a\t",
  "$X=lb_kind  DR",
  "$X",
  "~SEQ(I,1,2) weight $I",
  "\\",
  '"',
  "'",
  "\u00a0",
  "include none*.conf",
  "\t",
);

describe("any file", () => {
  const file = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(" "));

  it("is formatted to itself once it is formatted", () => {
    fc.assert(
      fc.property(file, (text) => {
        const once = formatKeepalived(text);
        expect(formatKeepalived(once)).toBe(once);
      }),
      { seed: 11, numRuns: 2000 },
    );
  });

  it("means the same when it is formatted", () => {
    fc.assert(
      fc.property(file, (text) => {
        expect(plain(formatKeepalived(text))).toBe(plain(text));
      }),
      { seed: 12, numRuns: 1000 },
    );
  });

  it("is read, corrected and formatted without ever throwing", () => {
    fc.assert(
      fc.property(fc.oneof(file, fc.string({ unit: "binary", maxLength: 200 })), (text) => {
        const { fixes } = reading(text);
        formatKeepalived(applyEdits(text, fixes));
      }),
      { seed: 13, numRuns: 1000 },
    );
  });
});
