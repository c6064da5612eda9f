/**
 * The rules of one namespace on disk: changes line by line, and after those that the BPF maps have taken over a mark.
 *
 * A change is written here before the maps are touched. When the mark is missing, whoever made the change was killed halfway:
 * the next one brings the maps in line with the lines, all of them. A last line without its end was never agreed to, and goes.
 * @module
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import type { Operation } from "./operation.ts";

const VERSION = 1;
const APPLIED = ".";
/** Lines that may be there beside those that matter before the file is written anew. */
const SLACK = 1000;

/** What a journal says. */
export interface Reading {
  readonly operations: readonly Operation[];
  /** All of them have reached the maps. */
  readonly applied: boolean;
}

/** One namespace's file. Call everything but {@link Journal.glance} with the namespace's lock held. */
export class Journal {
  readonly #path: string;
  readonly #header: string;
  /** The file as this process knows it. */
  #known: { readonly inode: number; size: number } | undefined;
  #lines = 0;

  /** `boot` and `cookie` name the namespace that the file is for; another one's is not read. */
  constructor(path: string, boot: string, cookie: string) {
    this.#path = path;
    this.#header = `${JSON.stringify({ version: VERSION, boot, cookie })}\n`;
  }

  /** Whether nobody else wrote since the last {@link read}, {@link append} or {@link rewrite}. */
  get current(): boolean {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    return this.#known !== undefined && found?.ino === this.#known.inode && found.size === this.#known.size;
  }

  /** Whether rules of this namespace are there. */
  get exists(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false }) !== undefined;
  }

  #text(): string | undefined {
    try {
      const text = readFileSync(this.#path, "utf8");
      return text.startsWith(this.#header) ? text : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The operations that are there, without the lock: some may not have reached the maps, and the next may just be written. */
  glance(): readonly Operation[] {
    const inode = statSync(this.#path, { throwIfNoEntry: false })?.ino ?? 0;
    const text = this.#text() ?? "";
    // What is written meanwhile makes this outdated.
    this.#known = { inode, size: Buffer.byteLength(text) };
    const lines = text.slice(this.#header.length).split("\n").slice(0, -1);
    return lines.filter((l) => l !== APPLIED).map((l) => JSON.parse(l) as Operation);
  }

  /** Reads everything; undefined when there is no file for this namespace. */
  read(): Reading | undefined {
    this.#known = undefined;
    const text = this.#text();
    if (text === undefined) return undefined;
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const lines = whole.slice(this.#header.length).split("\n").slice(0, -1);
    const torn = Buffer.byteLength(whole) < Buffer.byteLength(text);
    if (torn) truncate(this.#path, Buffer.byteLength(whole));
    const { ino, size } = statSync(this.#path);
    this.#known = { inode: ino, size };
    this.#lines = lines.length;
    return {
      operations: lines.filter((l) => l !== APPLIED).map((l) => JSON.parse(l) as Operation),
      applied: lines.at(-1) === APPLIED,
    };
  }

  /** Adds a change that the maps do not have yet. The file must be {@link current}. */
  append(operations: readonly Operation[]): void {
    this.#write(operations.map((o) => `${JSON.stringify(o)}\n`).join(""));
    this.#lines += operations.length;
  }

  /** Notes that the maps have everything. */
  applied(): void {
    this.#write(`${APPLIED}\n`);
    this.#lines++;
  }

  /** The size to which {@link undo} goes back. */
  get size(): number {
    return this.#known?.size ?? 0;
  }

  /** Takes back what was added since the file had that size. */
  undo(size: number): void {
    truncate(this.#path, size);
    this.#known = undefined;
  }

  #write(text: string): void {
    const fd = openSync(this.#path, "a", 0o600);
    try {
      writeSync(fd, text);
      const { ino, size } = fstatSync(fd);
      this.#known = { inode: ino, size };
    } finally {
      closeSync(fd);
    }
  }

  /** Whether the file is much longer than `wanted` operations need. */
  overgrown(wanted: number): boolean {
    return this.#lines > 3 * wanted + SLACK;
  }

  /** Replaces everything, in one step. */
  rewrite(operations: readonly Operation[], applied: boolean): void {
    const lines = operations.map((o) => `${JSON.stringify(o)}\n`);
    if (applied) lines.push(`${APPLIED}\n`);
    const temporary = `${this.#path}.new`;
    writeFileSync(temporary, this.#header + lines.join(""), { mode: 0o600 });
    renameSync(temporary, this.#path);
    const { ino, size } = statSync(this.#path);
    this.#known = { inode: ino, size };
    this.#lines = lines.length;
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    rmSync(`${this.#path}.new`, { force: true });
    this.#known = undefined;
  }
}

function truncate(path: string, size: number): void {
  const fd = openSync(path, "r+");
  try {
    ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
}
