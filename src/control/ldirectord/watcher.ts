/**
 * Notices that a configuration file has changed on disk: another modification time, and then another content.
 * @module
 */
import { createHash } from "node:crypto";

/** The file as the watcher sees it. */
export interface WatchedFile {
  /** Modification time in ms; undefined when it is not there. */
  modified(): number | undefined;
  read(): string | undefined;
}

/** Looked at now and then. */
export class Watcher {
  readonly #file: WatchedFile;
  #modified: number | undefined;
  #digest: string | undefined;

  /** What the file is now counts as known. */
  constructor(file: WatchedFile) {
    this.#file = file;
    this.#modified = file.modified();
    this.#digest = this.#digestNow();
  }

  #digestNow(): string | undefined {
    const text = this.#file.read();
    return text === undefined ? undefined : createHash("md5").update(text).digest("hex");
  }

  /** Whether the content is another than when last looked at. A file that is gone has not changed. */
  changed(): boolean {
    const modified = this.#file.modified();
    if (modified === undefined || modified === this.#modified) return false;
    this.#modified = modified;
    const digest = this.#digestNow();
    if (digest === undefined || digest === this.#digest) return false;
    this.#digest = digest;
    return true;
  }
}
