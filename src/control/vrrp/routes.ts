/**
 * Virtual routes and rules, set by ip(8), which knows every word that people write; and whether somebody took them away.
 * @module
 */
import { execFile } from "node:child_process";
import type { RouteSpec } from "./spec.ts";

/** Routes and rules of keepalived are marked with this protocol (`/etc/iproute2/rt_protos`), and so are ours. */
const PROTOCOL = "18";
const TIME_LIMIT_MS = 10_000;

/** Runs `ip` with arguments; its output, or what it complained of. */
export type Ip = (args: readonly string[]) => Promise<{ readonly ok: boolean; readonly text: string }>;

const ip: Ip = (args) =>
  new Promise((resolve) => {
    execFile("ip", [...args], { timeout: TIME_LIMIT_MS }, (error, stdout, stderr) => {
      resolve({ ok: error === null, text: error === null ? stdout : stderr.trim() || error.message });
    });
  });

interface Owned {
  /** What was asked for. */
  readonly key: string;
  readonly undo: (readonly string[])[];
  /** Lines of `ip route` and `ip rule` that stand for what is tracked. */
  lines: readonly string[];
}

/** What is set for owners; commands run one after another, so that the last word of a quick change wins. */
export class VirtualRoutes {
  readonly #ip: Ip;
  readonly #log: (owner: string, text: string) => void;
  readonly #owned = new Map<string, Owned>();
  #queue: Promise<void> = Promise.resolve();

  constructor(log: (owner: string, text: string) => void, run: Ip = ip) {
    this.#log = log;
    this.#ip = run;
  }

  /** Something is set, or about to be. */
  get used(): boolean {
    return this.#owned.size > 0;
  }

  add(owner: string, routes: readonly RouteSpec[], rules: readonly RouteSpec[]): void {
    const key = JSON.stringify(
      [routes, rules].map((list) => list.map((r) => [r.family, r.words, r.noTrack])),
    );
    // A reload that changes other things must not take them away for a moment.
    if (this.#owned.get(owner)?.key === key) return;
    this.remove(owner);
    const owned: Owned = { key, undo: [], lines: [] };
    this.#owned.set(owner, owned);
    this.#then(async () => {
      const all = [
        ...routes.map((r) => ({ ...r, object: "route" })),
        ...rules.map((r) => ({ ...r, object: "rule" })),
      ];
      const before = await this.#lines();
      for (const item of all.filter((r) => !r.noTrack)) await this.#set(owner, owned, item);
      const had = new Set(before);
      owned.lines = (await this.#lines()).filter((line) => !had.has(line));
      for (const item of all.filter((r) => r.noTrack)) await this.#set(owner, owned, item);
    });
  }

  async #set(owner: string, owned: Owned, item: RouteSpec & { readonly object: string }): Promise<void> {
    const marked =
      item.words.includes("protocol") || item.words.includes("proto") ? [] : ["protocol", PROTOCOL];
    const words = [`-${item.family}`, item.object];
    const rest = [...item.words, ...marked];
    // A former run that was killed left it behind: with our mark it is nobody else's.
    if (marked.length > 0) await this.#ip([...words, "del", ...rest]);
    const result = await this.#ip([...words, "add", ...rest]);
    if (result.ok) owned.undo.unshift([...words, "del", ...rest]);
    else this.#log(owner, `cannot set ${item.object} ${item.words.join(" ")}: ${result.text}`);
  }

  remove(owner: string): void {
    const owned = this.#owned.get(owner);
    if (!owned) return;
    this.#owned.delete(owner);
    this.#then(async () => {
      owned.lines = [];
      for (const args of owned.undo) await this.#ip(args);
    });
  }

  /** Owners of whose tracked routes and rules something is gone. */
  async lost(): Promise<string[]> {
    await this.#queue;
    const candidates = [...this.#owned].filter(([, o]) => o.lines.length > 0);
    if (candidates.length === 0) return [];
    const there = new Set(await this.#lines());
    return candidates
      .filter(([owner, o]) => this.#owned.get(owner) === o && o.lines.some((line) => !there.has(line)))
      .map(([owner]) => owner);
  }

  async #lines(): Promise<string[]> {
    const lines: string[] = [];
    for (const family of ["-4", "-6"]) {
      const routes = await this.#ip(["-N", family, "-o", "route", "show", "table", "all", "proto", PROTOCOL]);
      const rules = await this.#ip(["-N", family, "-o", "rule", "show", "protocol", PROTOCOL]);
      for (const { ok, text } of [routes, rules])
        if (ok)
          lines.push(
            ...text
              .split("\n")
              .map((l) => l.replace(/\s+(dead|linkdown)\b/g, "").trim())
              .filter((l) => l !== "")
              .map((l) => `${family} ${l}`),
          );
    }
    return lines;
  }

  #then(job: () => Promise<void>): void {
    this.#queue = this.#queue.then(job).catch((error: unknown) => this.#log("", String(error)));
  }

  /** Resolves when everything asked for has been tried. */
  settled(): Promise<void> {
    return this.#queue;
  }
}
