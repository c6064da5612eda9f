/**
 * Plays a scenario on a stage, whatever that is made of: the model, the engine plane, the kernel's ip_vs.
 * @module
 */
import { describePacket, isExpected } from "./packet-compare.ts";
import type { Scenario, Side, Step } from "./scenario.ts";

/** What a command did. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A packet that came out. */
export interface Output {
  readonly side: Side;
  readonly bytes: Uint8Array;
}

/** A director with its surroundings, fresh for one scenario. */
export interface Stage {
  /** An IPv4 id of 0 may come out as any. */
  readonly anyZeroId?: boolean;
  command(argv: readonly string[]): Promise<CommandResult>;
  /** Puts a packet in. */
  inject(side: Side, bytes: Uint8Array): void;
  /** Everything that came out since the last call; waits for `expected` packets and a little longer when that is needed. */
  outputs(expected: number): Promise<Output[]>;
  sysctl(name: string, value: string): void;
  wait(ms: number): Promise<void>;
  mark(mark: number, protocol: string, address: string, port: number): void;
  marklocal(mark: number): void;
  mtu(side: Side, mtu: number): void;
  address(cidr: string): void;
  localnet(cidr: string): void;
}

/** How far below the given time a timer may stand, in seconds. */
const TIMER_SLACK_S = 8;

const seconds = (text: string): number => {
  const [minutes, rest] = text.split(":").map(Number);
  return minutes * 60 + rest;
};

/** Whether the words of `row` stand in `line` in this order. */
export function rowMatches(row: string, line: string): boolean {
  const words = line.trim().split(/\s+/);
  let at = 0;
  for (const wanted of row.trim().split(/\s+/)) {
    const fits = (word: string): boolean => {
      if (!wanted.startsWith("~")) return word === wanted;
      const late = seconds(wanted.slice(1)) - seconds(word);
      return late >= 0 && late <= TIMER_SLACK_S;
    };
    while (at < words.length && !fits(words[at])) at++;
    if (at++ >= words.length) return false;
  }
  return true;
}

function commandFailures(step: Step & { kind: "command" }, result: CommandResult): string[] {
  const complaints = step.rows.filter((row) => row.startsWith("! ")).map((row) => row.slice(2));
  const rows = step.rows.filter((row) => !row.startsWith("! ") && row !== "(none)");
  const told = `$ ${step.argv.join(" ")}\n${result.stdout}${result.stderr}= ${result.status}`;
  const fail = (what: string): string => `line ${step.line}: ${what}\n${told}`;
  if ((result.status !== 0) !== complaints.length > 0) return [fail(`exit status ${result.status}`)];
  const missing = complaints.filter((text) => !result.stderr.replace(/\s+/g, " ").includes(text));
  if (missing.length > 0) return [fail(`stderr does not say: ${missing[0]}`)];
  const lines = result.stdout.split("\n").filter((line) => line !== "");
  const isConnections = step.argv.some((word) => /^-L.*c/.test(word));
  if (isConnections && step.rows.length > 0) {
    lines.splice(0, 2);
    if (lines.length !== rows.length) return [fail(`${rows.length} rows expected, ${lines.length} listed`)];
  }
  for (const row of rows) {
    const found = lines.findIndex((line) => rowMatches(row, line));
    if (found < 0) return [fail(`no row: ${row}`)];
    lines.splice(found, 1);
  }
  return [];
}

function packetFailures(
  step: Step & { kind: "packet" },
  outputs: readonly Output[],
  anyZeroId = false,
): string[] {
  const sides = ["client", "server", "local"] as const;
  const differ = sides.some((side) => {
    const wanted = step.outputs.filter((o) => o.side === side);
    const got = outputs.filter((o) => o.side === side);
    return (
      wanted.length !== got.length || wanted.some((w, i) => !isExpected(w.expected, got[i].bytes, anyZeroId))
    );
  });
  if (!differ) return [];
  const wanted = step.outputs.map((o) => `\n  wanted ${o.side} < ${o.expected.text}`);
  const got = outputs.map((o) => `\n  got    ${o.side} < ${describePacket(o.bytes)}`);
  const nothing = got.length === 0 ? "\n  got    nothing" : "";
  return [`line ${step.line}: ${step.side} > ${step.text}${wanted.join("")}${got.join("")}${nothing}`];
}

/** Does one step; tells what went wrong. */
async function play1(step: Step, stage: Stage): Promise<string[]> {
  switch (step.kind) {
    case "command":
      return commandFailures(step, await stage.command(step.argv));
    case "packet":
      stage.inject(step.side, step.bytes);
      return packetFailures(step, await stage.outputs(step.outputs.length), stage.anyZeroId);
    case "sysctl":
      stage.sysctl(step.name, step.value);
      return [];
    case "wait": {
      await stage.wait(step.ms);
      return (await stage.outputs(0)).map(
        (o) => `line ${step.line}: came by itself: ${o.side} < ${describePacket(o.bytes)}`,
      );
    }
    case "mark":
      stage.mark(step.mark, step.protocol, step.address, step.port);
      return [];
    case "marklocal":
      stage.marklocal(step.mark);
      return [];
    case "mtu":
      stage.mtu(step.side, step.mtu);
      return [];
    case "address":
      stage.address(step.cidr);
      return [];
    case "localnet":
      stage.localnet(step.cidr);
      return [];
  }
}

/** Plays all of a scenario, past failures too; an empty list when everything was as it must be. */
export async function play(scenario: Scenario, stage: Stage): Promise<string[]> {
  const failures: string[] = [];
  for (const step of scenario.steps) failures.push(...(await play1(step, stage)));
  return failures;
}
