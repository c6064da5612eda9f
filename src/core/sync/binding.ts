/**
 * The destinations here that a master's connections belong to. A connection whose destination is not in the table yet goes to the address
 * that the master told (`ip_vs_try_bind_dest`); it is bound as soon as the destination is added, where the kernel waits for the next
 * message about it and cannot tunnel until then.
 * @module
 */
import { fold } from "../../wire/address.ts";
import type { Context } from "../context.ts";
import type { RealServer } from "../server.ts";
import type { Tracker } from "../tracker.ts";
import { serverOf } from "./taking.ts";

/** Binds connections, and remembers those that could not be bound. */
export class SyncBinding {
  private readonly context: Context;
  private readonly tracker: Tracker;
  /** Connections without a destination, by the fold of its address. */
  private readonly waiting = new Map<number, Set<number>>();
  private readonly virtual = new Int32Array(4);
  private readonly destination = new Int32Array(4);

  constructor(context: Context, tracker: Tracker) {
    this.context = context;
    this.tracker = tracker;
    tracker.onUnboundEnd = (c) => this.forget(c);
  }

  /** Binds a connection that has no destination, now or when there is one. */
  bind(c: number): void {
    const server = this.serverOf(c);
    const key = this.keyOf(c);
    if (server) {
      this.forget(c);
      this.tracker.bindSynced(c, server);
      return;
    }
    const same = this.waiting.get(key);
    if (same) same.add(c);
    else this.waiting.set(key, new Set([c]));
  }

  /** A destination was added: whatever waited for it is bound. */
  added(server: RealServer): void {
    const waiting = this.waiting.get(server.fold);
    if (waiting) for (const c of [...waiting]) this.bind(c);
  }

  private forget(c: number): void {
    if (this.waiting.size === 0) return;
    const key = this.keyOf(c);
    const same = this.waiting.get(key);
    if (same?.delete(c) && same.size === 0) this.waiting.delete(key);
  }

  private keyOf(c: number): number {
    const { connections } = this.context;
    connections.copyDestination(c, this.destination);
    return fold(connections.destinationFamily(c), this.destination);
  }

  private serverOf(c: number): RealServer | undefined {
    const { connections, table } = this.context;
    connections.copyVirtual(c, this.virtual);
    connections.copyDestination(c, this.destination);
    const belonging = {
      family: connections.family(c),
      protocol: connections.protocol(c),
      flags: connections.flags(c),
      fwmark: connections.fwmark(c),
      virtualPort: connections.virtualPort(c),
      destinationPort: connections.destinationPort(c),
    };
    return serverOf(table, belonging, this.virtual, this.destination);
  }
}
