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
  /** The file as this process knows it. As long as it is open here, no other file gets its inode number. */
  #known: { readonly fd: number; readonly size: number } | undefined;
  #lines = 0;

  /** `boot` and `cookie` name the namespace that the file is for; another one's is not read. */
  constructor(path: string, boot: string, cookie: string) {
    this.#path = path;
    this.#header = `${JSON.stringify({ version: VERSION, boot, cookie })}\n`;
  }

  /** Whether nobody else wrote since the last {@link read}, {@link append} or {@link rewrite}. */
  get current(): boolean {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (!this.#known || found?.size !== this.#known.size) return false;
    const known = fstatSync(this.#known.fd);
    return found.ino === known.ino && found.dev === known.dev;
  }

  /** Keeps this file in mind, open, as what is known of the journal. */
  #know(fd: number | undefined, size = 0): void {
    const former = this.#known?.fd;
    this.#known = fd === undefined ? undefined : { fd, size };
    if (former !== undefined && former !== fd) closeSync(former);
  }

  /** Whether rules of this namespace are there. */
  get exists(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false }) !== undefined;
  }

  /** The file's lines to their ends, each with its end, and whether there is more; it is known from now on. */
  #take(): { readonly lines: string[]; readonly torn: boolean } | undefined {
    this.#know(undefined);
    let fd: number;
    try {
      fd = openSync(this.#path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const text = readFileSync(fd, "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    // What is written meanwhile, or cut off, makes this outdated.
    this.#know(fd, Buffer.byteLength(whole));
    if (!whole.startsWith(this.#header)) return undefined;
    const lines = whole.slice(this.#header.length).split("\n").slice(0, -1);
    return { lines, torn: whole.length < text.length };
  }

  /** The operations that are there, without the lock: some may not have reached the maps, and the next may just be written. */
  glance(): readonly Operation[] {
    return this.#operationsOf(this.#take()?.lines ?? []);
  }

  #operationsOf(lines: readonly string[]): Operation[] {
    return lines.flatMap((line, i) => {
      if (line === APPLIED) return [];
      try {
        return JSON.parse(line) as Operation;
      } catch (error) {
        throw new Error(
          `${this.#path}:${i + 2}: this line is no rule; "lvsd planes reset" removes the file, with rules and connections`,
          { cause: error },
        );
      }
    });
  }

  /** Reads everything; undefined when there is no file for this namespace. */
  read(): Reading | undefined {
    const found = this.#take();
    if (!found) {
      this.#know(undefined);
      return undefined;
    }
    if (found.torn) truncate(this.#path, this.size);
    this.#lines = found.lines.length;
    return { operations: this.#operationsOf(found.lines), applied: found.lines.at(-1) === APPLIED };
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

  /** Takes back what was added since the file had that size: by another file, since what is cut off and added may be as long. */
  undo(size: number): void {
    this.#replace(readFileSync(this.#path).subarray(0, size));
    this.#know(undefined);
  }

  #write(text: string): void {
    const fd = openSync(this.#path, "a", 0o600);
    const before = fstatSync(fd).size;
    try {
      writeFileSync(fd, text);
    } catch (error) {
      // A disk that is full may have taken a part of it, which was never agreed to.
      ftruncateSync(fd, before);
      closeSync(fd);
      throw error;
    }
    this.#know(fd, fstatSync(fd).size);
  }

  /** Whether the file is much longer than `wanted` operations need. */
  overgrown(wanted: number): boolean {
    return this.#lines > 3 * wanted + SLACK;
  }

  /** Replaces everything, in one step. */
  rewrite(operations: readonly Operation[], applied: boolean): void {
    const lines = operations.map((o) => `${JSON.stringify(o)}\n`);
    if (applied) lines.push(`${APPLIED}\n`);
    this.#replace(this.#header + lines.join(""));
    this.#know(openSync(this.#path, "r"), statSync(this.#path).size);
    this.#lines = lines.length;
  }

  #replace(content: string | Uint8Array): void {
    const temporary = `${this.#path}.new`;
    writeFileSync(temporary, content, { mode: 0o600 });
    renameSync(temporary, this.#path);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    rmSync(`${this.#path}.new`, { force: true });
    this.#know(undefined);
  }

  /** Releases the file. */
  close(): void {
    this.#know(undefined);
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
