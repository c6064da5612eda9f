/**
 * Runs a lab as a story: the drawing, every command before it runs and what it printed, who answered, the trace.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, commandOf, request, tally } from "./client.ts";
import { describe, journeys, telling } from "./hops.ts";
import type { Ask, Lab, Step } from "./lab.ts";
import type { Network } from "./network.ts";
import { startServer, stopServer } from "./servers.ts";
import { draw } from "./topology.ts";
import { traced } from "./trace.ts";

/** Where the story goes, a line at a time. */
export type Print = (line: string) => void;

/** How much of a trace is shown: the packets that tell the story, or all. */
export type TraceDepth = "telling" | "all";

/** Folds a sentence to lines of at most `width` characters. */
function fold(text: string, width = 96): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Title, explanation and drawing. */
export function introduce(lab: Lab, print: Print): void {
  print(lab.title);
  print("");
  for (const line of fold(lab.about)) print(line);
  print("");
  for (const line of draw(lab)) print(`  ${line}`);
}

/** The prompt of a command that someone types on a host. */
const prompt = (host: string, command: string, root = true): string =>
  `${host}${root ? "#" : "$"} ${command}`;

async function askTimes(
  network: Network,
  host: string,
  ask: Ask,
  times: number,
  print: Print,
  brief = false,
): Promise<Answer[]> {
  print(`${prompt(host, commandOf(ask), false)}${times > 1 ? `   (${times} times)` : ""}`);
  const answers: Answer[] = [];
  for (let time = 0; time < times; time++) {
    const answer = await request(network, host, ask);
    if (!brief) print(answer.text);
    answers.push(answer);
  }
  if (times > 1) print(`  → ${tally(answers)}`);
  return answers;
}

async function runCommand(network: Network, host: string, command: string, print: Print): Promise<void> {
  print(prompt(host, command));
  const { status, stdout, stderr } = await network.shell(host, command);
  for (const line of `${stdout}${stderr}`.split("\n").slice(0, -1)) print(line);
  if (status !== 0) throw new Error(`on ${host}: "${command}" failed with status ${status}`);
}

/** How long a lab waits for something to come true, and how long between two looks, ms. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 100;

/** Runs a command until it prints what is waited for, and shows that. @throws Error when it takes too long */
async function runUntil(
  network: Network,
  { on, command, holds }: Step & { kind: "until" },
  print: Print,
): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const { stdout, stderr } = await network.shell(on, command);
    if (holds(stdout)) {
      print(prompt(on, command));
      for (const line of stdout.split("\n").slice(0, -1)) print(line);
      return;
    }
    if (Date.now() > until) throw new Error(`on ${on}: "${command}" still prints\n${stdout}${stderr}`);
    await sleep(LOOK_MS);
  }
}

/** Starts a program that stays for as long as the lab. */
function startDaemon(
  network: Network,
  { on, command, output }: Step & { kind: "daemon" },
  print: Print,
): void {
  const line = `${command} > ${output} &`;
  print(prompt(on, line));
  // exec: the lab's end reaches the program itself.
  const child = network.spawn(on, ["sh", "-c", `exec ${command} > ${output} 2>&1`], {
    stdio: "ignore",
    cwd: network.folder,
  });
  child.unref();
}

/**
 * Runs the steps in order.
 * @returns how many requests stayed without an answer.
 */
export async function tell(network: Network, steps: readonly Step[], print: Print): Promise<number> {
  let unanswered = 0;
  for (const step of steps) {
    switch (step.kind) {
      case "title":
        print("");
        print(`== ${step.title}`);
        if (step.about !== undefined) for (const line of fold(step.about)) print(line);
        break;
      case "run":
        await runCommand(network, step.on, step.command, print);
        break;
      case "file":
        network.write(step.name, step.text);
        print(prompt(step.on, `cat ${step.name}`));
        for (const line of step.text.split("\n").slice(0, -1)) print(line);
        break;
      case "daemon":
        startDaemon(network, step, print);
        break;
      case "serving":
        await (step.up ? startServer : stopServer)(network, step.on);
        print(`(the web server of ${step.on} ${step.up ? "starts" : "stops"})`);
        break;
      case "until":
        await runUntil(network, step, print);
        break;
      case "ask": {
        const answers = await askTimes(network, step.on, step.ask, step.times, print, step.brief);
        unanswered += answers.filter((answer) => answer.server === "").length;
        break;
      }
    }
  }
  return unanswered;
}

/** Makes the lab's traced request and shows its packets at every interface. */
export async function tellTrace(network: Network, depth: TraceDepth, print: Print): Promise<number> {
  const { on, ask } = network.lab.traced;
  print("");
  print("== One request at every interface");
  const { result, hops } = await traced(network, () => askTimes(network, on, ask, 1, print));
  const all = journeys(hops);
  const shown = depth === "all" ? all : telling(all);
  const start = all[0]?.hops[0]?.time ?? 0n;
  for (const journey of shown) for (const line of describe(journey, start)) print(line);
  const left = all.length - shown.length;
  if (left > 0) print(`${left} more packets (ACK, FIN and the like) are left out; --trace all shows them.`);
  return result.filter((answer) => answer.server === "").length;
}
