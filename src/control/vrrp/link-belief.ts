/**
 * Which interfaces count as up: what the kernel says, a configured while later (interface_up_down_delays).
 * @module
 */
import type { HostInterface } from "./host.ts";
import type { VrrpSpec } from "./spec.ts";

export class LinkBelief {
  #delays: VrrpSpec["linkDelays"] = [];
  readonly #believed = new Map<string, boolean>();
  /** Interface → when its other state will be believed. */
  readonly #changeAt = new Map<string, number>();

  configure(delays: VrrpSpec["linkDelays"]): void {
    this.#delays = delays;
  }

  /** Interface name → up; those that do not exist are absent. */
  get states(): ReadonlyMap<string, boolean> {
    return this.#believed;
  }

  /** When {@link see} must be called again; Infinity for never. */
  nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const at of this.#changeAt.values()) next = Math.min(next, at);
    return next;
  }

  /** Takes in what the kernel says now. An interface that is new, or gone, is believed at once. */
  see(interfaces: ReadonlyMap<string, HostInterface>, now: number): void {
    for (const name of [...this.#believed.keys()]) {
      if (interfaces.has(name)) continue;
      this.#believed.delete(name);
      this.#changeAt.delete(name);
    }
    for (const [name, { up }] of interfaces) {
      const believed = this.#believed.get(name);
      if (believed === up) {
        this.#changeAt.delete(name);
        continue;
      }
      const delay = this.#delays.find((d) => d.interface === name);
      const waitMs = believed === undefined || !delay ? 0 : up ? delay.upMs : delay.downMs;
      const at = this.#changeAt.get(name) ?? now + waitMs;
      if (at > now) this.#changeAt.set(name, at);
      else {
        this.#changeAt.delete(name);
        this.#believed.set(name, up);
      }
    }
  }
}
