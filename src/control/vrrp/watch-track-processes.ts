/**
 * Counts the processes that VRRP instances track (track_process), as /proc lists them.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import type { TrackProcessSpec } from "./spec.ts";

/** /proc is read this often. */
const EVERY_MS = 1000;

/** A process as it is matched. */
export interface ProcessFacts {
  /** What comm says: the name of the program, 15 bytes at most. */
  readonly name: string;
  /** Program and arguments; empty for threads of the kernel. */
  readonly command: readonly string[];
}

/** Whether a process is one that is wanted. */
export function matches(spec: TrackProcessSpec, process: ProcessFacts): boolean {
  const [wanted = "", ...args] = spec.command;
  if (spec.match === "name" && !spec.fullCommand && args.length === 0) {
    const base = wanted.slice(wanted.lastIndexOf("/") + 1);
    return process.name === base.slice(0, 15);
  }
  const [program = "", ...given] = process.command;
  const base = program.slice(program.lastIndexOf("/") + 1);
  if (program !== wanted && (wanted.includes("/") || base !== wanted)) return false;
  if (spec.match === "partial") return args.length === 0 || given.join(" ").includes(args.join(" "));
  if (spec.match === "initial")
    return args.every((a, i) => (i < args.length - 1 ? given[i] === a : given[i]?.startsWith(a) === true));
  if (args.length === 0 && !spec.fullCommand && spec.match !== "exact") return true;
  return given.length === args.length && args.every((a, i) => given[i] === a);
}

/** The processes of this machine; those that end meanwhile are left out. */
export function listProcesses(): ProcessFacts[] {
  const found: ProcessFacts[] = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "latin1").trimEnd();
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").slice(0, -1);
      found.push({ name, command });
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** Some processes, counted until closed. */
export class TrackProcesses {
  readonly specs: readonly TrackProcessSpec[];
  readonly #tell: (name: string, good: boolean) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #good = new Map<string, boolean>();
  /** When a count began to say otherwise; it is believed after the specification's delay. */
  readonly #changedAt = new Map<string, number>();

  /** `tell` hears each first result, and every change. */
  constructor(specs: readonly TrackProcessSpec[], tell: (name: string, good: boolean) => void) {
    this.specs = specs;
    this.#tell = tell;
    this.#look();
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  get results(): ReadonlyMap<string, boolean> {
    return this.#good;
  }

  #look(): void {
    const now = performance.now();
    const processes = listProcesses();
    for (const spec of this.specs) {
      const count = processes.filter((p) => matches(spec, p)).length;
      const good = count >= spec.quorum && (spec.quorumMax === undefined || count <= spec.quorumMax);
      const before = this.#good.get(spec.name);
      if (good === before) {
        this.#changedAt.delete(spec.name);
        continue;
      }
      const since = this.#changedAt.get(spec.name) ?? now;
      this.#changedAt.set(spec.name, since);
      if (before !== undefined && now - since < spec.delayMs) continue;
      this.#changedAt.delete(spec.name);
      this.#good.set(spec.name, good);
      this.#tell(spec.name, good);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
