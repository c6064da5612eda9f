/**
 * Runs the examples of a document: its console blocks that start a lab, compared with what the lab prints now.
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";

export const root = join(import.meta.dirname, "../..");
export const lvsd = join(root, "dist/lvsd.cjs");

/** Prefix of every namespace that these tests make. */
export const PREFIX = `lv${process.pid}`;

/** Where the labs of these tests keep what belongs in /run/lvsd: other labs and directors of the machine have theirs. */
export const runDirectory = mkdtempSync(join(tmpdir(), "lvsd-lab-"));
process.env["LVSD_RUN_DIR"] = runDirectory;

/** Removes every lab of these tests, and what they made beside. */
export async function removeLabs(...prefixes: string[]): Promise<void> {
  for (const prefix of prefixes) await runLvsd("lab", "down", "--prefix", prefix);
  removeBpffs(`${runDirectory}/bpf`);
  rmSync(runDirectory, { recursive: true, force: true });
}

export interface Run {
  readonly status: number | null;
  /** stdout and stderr as a terminal would show them. */
  readonly text: string;
}

/** Runs `lvsd` with some words to its end. */
export function runLvsd(...words: string[]): Promise<Run> {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const child = spawn(process.execPath, [lvsd, ...words], { stdio: ["ignore", "pipe", "pipe"], env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      text += chunk;
    });
  }
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, text })));
}

/** What differs from run to run is replaced: client ports, times, and how many acknowledgements TCP needed. */
export const stable = (text: string): string =>
  text
    .replace(/(?<=[\d:a-f\]]):(?!5300\b)(\d{4,5})\b(?=\s)/g, ":PORT")
    .replace(/\b\d\d:\d\d(?= )/g, "MM:SS")
    .replace(/ +\d+ µs/g, " N µs")
    .replace(/\b(REACHABLE|STALE|DELAY|PROBE)\b/g, "LIVE")
    .replace(/^\d+ more packets/gm, "N more packets")
    .replace(/ +$/gm, "")
    .replace(/ {2,}/g, "  ")
    .trim();

/** A console block of a document: the command behind `$ ` and the output below. */
export interface Example {
  readonly command: string;
  readonly output: string;
}

const BLOCK = /^```console\n\$ (.*)\n([\s\S]*?)^```$/gm;

/** The examples of a document, in order. */
export const examplesOf = (path: string): Example[] =>
  [...readFileSync(join(root, path), "utf8").matchAll(BLOCK)].map(([, command, output]) => ({
    command: command!,
    output: output!,
  }));

/** The words of `lvsd` that an example's command stands for; undefined for other commands. */
export function wordsOf(command: string): string[] | undefined {
  if (command === "npm start") return ["lab", "nat"];
  const [program, ...words] = command.split(" ");
  return program === "lvsd" && words[0] === "lab" ? words : undefined;
}

/** Writes new output under a command of a document: how the examples are brought up to date (`LVSD_UPDATE_DOCS=1`). */
export function updateExample(path: string, command: string, output: string): void {
  const text = readFileSync(join(root, path), "utf8");
  const next = text.replace(BLOCK, (block, theirs: string) =>
    theirs === command ? `\`\`\`console\n$ ${command}\n${output.trimEnd()}\n\`\`\`` : block,
  );
  writeFileSync(join(root, path), next);
}
