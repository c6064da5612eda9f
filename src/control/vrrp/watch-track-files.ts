/**
 * Follows the number in a file that VRRP instances track (track_file).
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { TrackFileSpec } from "./spec.ts";

/** Files are looked at this often: watching misses files on network file systems, and files that are replaced. */
const EVERY_MS = 500;

/** The number that starts a file's text; 0 for an empty or missing one. Undefined for text that is no number. */
export function numberIn(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return 0;
  const match = /^[+-]?\d+/.exec(trimmed);
  return match ? Number(match[0]) : undefined;
}

/** One file, followed until closed. */
export class TrackFile {
  readonly spec: TrackFileSpec;
  readonly #tell: (value: number) => void;
  readonly #log: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #text: string | undefined;
  #value: number | undefined;

  /** `tell` hears the first number, and every change. */
  constructor(spec: TrackFileSpec, tell: (value: number) => void, log: (text: string) => void) {
    this.spec = spec;
    this.#tell = tell;
    this.#log = log;
    if (spec.init) this.#init(spec.init);
    this.#look();
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  get value(): number | undefined {
    return this.#value;
  }

  #init(init: { readonly value: number; readonly overwrite: boolean }): void {
    try {
      writeFileSync(this.spec.path, `${init.value}\n`, { flag: init.overwrite ? "w" : "wx" });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "EEXIST") this.#log(`track_file ${this.spec.name}: ${message}`);
    }
  }

  #look(): void {
    let text = "";
    try {
      text = readFileSync(this.spec.path, { encoding: "latin1" });
    } catch {
      // A missing file counts as 0.
    }
    if (text === this.#text) return;
    this.#text = text;
    const value = numberIn(text);
    if (value === undefined) {
      this.#log(`track_file ${this.spec.name}: ${this.spec.path} holds no number - ignoring it`);
      return;
    }
    if (value === this.#value) return;
    this.#value = value;
    this.#tell(value);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
