/**
 * A number in a file weighs on a server (keepalived's FILE_CHECK): number times weight is added to the server's weight. With a
 * weight of 0 the number decides: 0 is up, anything else down (the other way round when reversed).
 *
 * A file that is absent, or holds no number, counts as 0.
 * @module
 */
import { open } from "node:fs/promises";
import type { Checker, CheckSpec, Verdict } from "./check.ts";

/** Bytes that are looked at. */
const READ_LEN = 64;

export class FileChecker implements Checker {
  readonly #spec: CheckSpec & { readonly kind: "file" };

  constructor(spec: CheckSpec & { readonly kind: "file" }) {
    this.#spec = spec;
  }

  async check(): Promise<Verdict> {
    const { weight, reverse, path } = this.#spec;
    const startedAt = performance.now();
    const value = await numberIn(path);
    const latencyMs = performance.now() - startedAt;
    const detail = `${path} holds ${value}`;
    if (weight !== 0) {
      const add = value * weight * (reverse ? -1 : 1);
      return { ok: true, detail, latencyMs, weight: { kind: "add", value: add === 0 ? 0 : add } };
    }
    if ((value === 0) !== reverse) return { ok: true, detail, latencyMs };
    return { ok: false, detail, latencyMs, reason: "status" };
  }

  close(): void {}
}

async function numberIn(path: string): Promise<number> {
  try {
    const file = await open(path, "r");
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_LEN), 0, READ_LEN, 0);
      const value = Number.parseInt(buffer.toString("latin1", 0, bytesRead), 10);
      return Number.isNaN(value) ? 0 : value;
    } finally {
      await file.close();
    }
  } catch {
    return 0;
  }
}
