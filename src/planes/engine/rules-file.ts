/**
 * The rules on disk, so that an engine that was killed has them again. They hold for one network namespace of one boot: its
 * inode number, by which the file is named, is used again by the kernel, so the file says the cookie and the boot too.
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import type { DaemonSpec } from "../../core/daemon.ts";
import type { DestinationSpec } from "../../core/destination.ts";
import type { ServiceSpec } from "../../core/service.ts";
import type { Settings } from "../../core/settings.ts";
import type { Timeouts } from "../../core/timeouts.ts";

/** Everything that is wanted of an engine. */
export interface Rules {
  /** In the order in which adding them gives the table its order. */
  readonly services: readonly {
    readonly spec: ServiceSpec;
    readonly destinations: readonly DestinationSpec[];
  }[];
  readonly timeouts: Timeouts;
  readonly settings: Settings;
  readonly daemons: readonly DaemonSpec[];
  readonly announced: readonly { readonly address: string; readonly interface: string }[];
}

interface Saved extends Rules {
  readonly version: 1;
  readonly boot: string;
  readonly cookie: string;
}

/** The file of one namespace. */
export class RulesFile {
  readonly #path: string;
  readonly #boot: string;
  readonly #cookie: string;

  constructor(path: string, boot: string, cookie: bigint) {
    this.#path = path;
    this.#boot = boot;
    this.#cookie = String(cookie);
  }

  /** What was saved for this very namespace; undefined when nothing was, or it is not readable. */
  load(): Rules | undefined {
    try {
      const saved = JSON.parse(readFileSync(this.#path, "utf8")) as Saved;
      if (saved.version !== 1 || saved.boot !== this.#boot || saved.cookie !== this.#cookie) return undefined;
      return saved;
    } catch {
      return undefined;
    }
  }

  /** Replaces the file: a reader finds the old content or the new one, also after a crash. */
  save(rules: Rules): void {
    const saved: Saved = { version: 1, boot: this.#boot, cookie: this.#cookie, ...rules };
    const temporary = `${this.#path}.new`;
    const fd = openSync(temporary, "w", 0o600);
    try {
      writeSync(fd, JSON.stringify(saved));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.#path);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    rmSync(`${this.#path}.new`, { force: true });
  }
}
