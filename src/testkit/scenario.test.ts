import { describe, expect, it } from "vitest";
import { ModelStage } from "./model-stage.ts";
import { play, rowMatches } from "./play.ts";
import { parseScenarios, usesLocal } from "./scenario.ts";

const SERVICE = "$ ipvsadm -A -t VIP:80 -s rr\n$ ipvsadm -a -t VIP:80 -r R1:8080 -m\n";

/** Failures of one scenario on the model. */
async function failures(text: string): Promise<string[]> {
  const [scenario] = parseScenarios("x", `=== x\n${SERVICE}${text}`);
  return play(scenario, new ModelStage({ local: usesLocal(scenario) }));
}

describe("parseScenarios()", () => {
  it("gives every scenario the steps of the last `given` above it", () => {
    const [a, b] = parseScenarios(
      "x",
      "=== given\nwait 1s\n=== a {quick}\n=== given\nwait 2s\n=== b\nwait 3s\n",
    );
    expect([a.title, a.steps, [...a.tags]]).toEqual([
      "a",
      [{ kind: "wait", line: 2, ms: 1000 }],
      [["quick", ""]],
    ]);
    expect(b.steps.map((step) => "ms" in step && step.ms)).toEqual([2000, 3000]);
  });

  it("makes one step into many by braces, all counting on together", () => {
    const text =
      "=== x\nclient > udp CIP:{1..3} > VIP:53\n{x - x} server < udp CIP:{1..3} > 10.2.0.{11 12 13}:53\n";
    const [{ steps }] = parseScenarios("x", text);
    const outputs = steps.map((step) =>
      step.kind === "packet" ? step.outputs.map((o) => o.expected.text) : [],
    );
    expect(outputs).toEqual([
      ["udp 10.1.0.2:1 > 10.2.0.11:53 ttl=63"],
      [],
      ["udp 10.1.0.2:3 > 10.2.0.13:53 ttl=63"],
    ]);
  });

  it("says in which line it cannot go on", () => {
    expect(() => parseScenarios("x", "=== x\nwait 1s\nclient > tcp CIP > VIP:80 S\n")).toThrow("x.txt:3:");
    expect(() => parseScenarios("x", "=== x\njump\n")).toThrow('x.txt:2: "jump" is not a step');
  });
});

describe("play()", () => {
  const right = "client > tcp CIP:1 > VIP:80 S seq=1\nserver < tcp CIP:1 > R1:8080 S seq=1\n";

  it("is content with what is right", async () => {
    expect(await failures(`${right}$ ipvsadm -Lnc\n  TCP ~01:00 SYN_RECV CIP:1 R1:8080\n`)).toEqual([]);
  });

  it("sees a packet that is missing, wrong, or too many", async () => {
    expect((await failures(`${right}client > tcp CIP:1 > VIP:80 A\n`))[0]).toContain("got    server < tcp");
    expect((await failures(right.replace("R1:8080 S", "R1:8080 S ttl=64")))[0]).toContain("wanted server < ");
    expect((await failures("client > tcp CIP:1 > VIP:80 R\nserver < tcp CIP:1 > R1:8080 R\n"))[0]).toContain(
      "nothing",
    );
  });

  it("sees a row that is missing, one too many, and a command that did not fail", async () => {
    expect((await failures(`${right}$ ipvsadm -Lnc\n  (none)\n`))[0]).toContain("0 rows expected, 1 listed");
    expect((await failures(`${right}$ ipvsadm -Ln\n  -> R2:80\n`))[0]).toContain("no row: -> 10.2.0.12:80");
    expect((await failures("$ ipvsadm -Ln\n  ! nonsense\n"))[0]).toContain("exit status 0");
  });
});

it("rowMatches() allows a timer to be some seconds late, never early", () => {
  const row = "TCP 14:58  ESTABLISHED 10.1.0.2:1";
  expect(rowMatches("TCP ~15:00 ESTABLISHED", row)).toBe(true);
  expect(rowMatches("TCP ~14:57 ESTABLISHED", row)).toBe(false);
  expect(rowMatches("TCP ~16:00 ESTABLISHED", row)).toBe(false);
  expect(rowMatches("ESTABLISHED TCP", row)).toBe(false);
});
