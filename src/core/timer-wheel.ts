/**
 * Timers for things that are named by small numbers (connections), made for being restarted all the time.
 *
 * They are lazy: a restart only writes the new due time. The wheel looks at a timer when the due time it knew comes up, and
 * moves on the ones that were restarted since; only a due time that came nearer moves a timer at once.
 * @module
 */

/** Length of one tick, ms: no timer fires early, and none later than this. */
const TICK_MS = 100;
const SLOTS = 8192;

/** Called when a timer fires. */
export type Fired = (timer: number) => void;

/** Timers 1, 2, 3 ... up to the capacity; 0 is none. */
export class TimerWheel {
  private due: Float64Array;
  /** Tick it is queued for, plus 1; 0 = not queued. */
  private queued: Int32Array;
  private next: Int32Array;
  private previous: Int32Array;
  /** First timer of each slot. */
  private readonly slots = new Int32Array(SLOTS);
  private tick: number;

  /**
   * @param now monotonic ms
   * @param capacity numbers below this may be used
   */
  constructor(now: number, capacity: number) {
    this.due = new Float64Array(capacity);
    this.queued = new Int32Array(capacity);
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.tick = Math.floor(now / TICK_MS);
  }

  /** Makes room for larger numbers. */
  grow(capacity: number): void {
    const due = new Float64Array(capacity);
    due.set(this.due);
    this.due = due;
    this.queued = longer(this.queued, capacity);
    this.next = longer(this.next, capacity);
    this.previous = longer(this.previous, capacity);
  }

  /** Monotonic ms at which it fires if nothing happens. */
  dueAt(timer: number): number {
    return this.due[timer];
  }

  /** Sets when it fires, monotonic ms. */
  start(timer: number, due: number): void {
    this.due[timer] = due;
    const tick = Math.ceil(due / TICK_MS);
    const queued = this.queued[timer];
    if (queued === 0 || tick < queued - 1) {
      this.cancel(timer);
      this.enqueue(timer, tick);
    }
  }

  /** Makes it fire at the next {@link advance}. */
  startNow(timer: number, now: number): void {
    this.due[timer] = now;
    this.cancel(timer);
    this.enqueue(timer, this.tick);
  }

  /** Takes it off the wheel. */
  cancel(timer: number): void {
    const queued = this.queued[timer];
    if (queued === 0) return;
    const next = this.next[timer];
    const previous = this.previous[timer];
    if (next !== 0) this.previous[next] = previous;
    if (previous !== 0) this.next[previous] = next;
    else this.slots[(queued - 1) & (SLOTS - 1)] = next;
    this.queued[timer] = 0;
  }

  /** Fires the timers that are due. The callback may start and cancel any. */
  advance(now: number, fired: Fired): void {
    const last = Math.floor(now / TICK_MS);
    // After a long pause one round of the wheel sees everything.
    if (last - this.tick >= SLOTS) this.tick = last - SLOTS + 1;
    for (;;) {
      this.sweep(this.tick, now, fired);
      if (this.tick >= last) return;
      this.tick++;
    }
  }

  private sweep(tick: number, now: number, fired: Fired): void {
    const slot = tick & (SLOTS - 1);
    // Always from the head: the callback may cancel others that are queued here. What is put back for later goes to another
    // slot, so the loop ends.
    for (let timer = this.slots[slot]; timer !== 0; timer = this.slots[slot]) {
      this.cancel(timer);
      if (this.due[timer] > now)
        this.enqueue(timer, Math.max(Math.ceil(this.due[timer] / TICK_MS), tick + 1));
      else fired(timer);
    }
  }

  private enqueue(timer: number, tick: number): void {
    const at = Math.min(Math.max(tick, this.tick), this.tick + SLOTS - 1);
    const slot = at & (SLOTS - 1);
    const head = this.slots[slot];
    this.queued[timer] = at + 1;
    this.next[timer] = head;
    this.previous[timer] = 0;
    if (head !== 0) this.previous[head] = timer;
    this.slots[slot] = timer;
  }
}

function longer(list: Int32Array, length: number): Int32Array {
  const copy = new Int32Array(length);
  copy.set(list);
  return copy;
}
