/**
 * How much went by lately: a counter looked at once a second, and the mean of the last seconds.
 * @module
 */
import type { SyncRates } from "./status.ts";

/** Samples kept: the mean is over at most so many seconds. */
const SAMPLES = 6;

interface Sample {
  readonly at: number;
  readonly messages: number;
  readonly bytes: number;
}

/** See the module's description. */
export class Meter {
  readonly #samples: Sample[] = [];

  /** To be called about once a second. @param now monotonic ms */
  sample(now: number, messages: number, bytes: number): void {
    this.#samples.push({ at: now, messages, bytes });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  get rates(): SyncRates {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || first === last) return { messagesPerS: 0, bytesPerS: 0 };
    const seconds = (last.at - first.at) / 1000;
    return {
      messagesPerS: (last.messages - first.messages) / seconds,
      bytesPerS: (last.bytes - first.bytes) / seconds,
    };
  }
}
