/**
 * A place in a live destination list that keeps standing where it stood while the list changes around it: where rr and wrr
 * go on. The place before the first destination is a place too (the list head of the kernel's linked lists).
 * @module
 */
import type { Candidate, Candidates } from "./scheduler.ts";

/** A position in `service.destinations`; a new one stands before the first. */
export class ListPosition<D extends Candidate> {
  /** Where the position stands, -1 = before the first. */
  index = -1;
  readonly #service: Candidates<D>;

  constructor(service: Candidates<D>) {
    this.#service = service;
  }

  /** Steps to the next destination, from the last to the first, and tells its index. The list must not be empty. */
  advance(): number {
    this.index = this.index + 1 < this.#service.destinations.length ? this.index + 1 : 0;
    return this.index;
  }

  /** The list got a destination; the position stays at the element where it was. */
  added(destination: D): void {
    const at = this.#service.destinations.indexOf(destination);
    if (at >= 0 && at <= this.index) this.index++;
  }

  /** The list lost what stood at `index`; a position on it steps back one, so that its successor is next. */
  removed(index: number): void {
    if (index <= this.index) this.index--;
  }
}
