/**
 * What the health machines ask to be done, in order.
 * @module
 */
import type { DestinationSpec } from "../../core/destination.ts";
import type { ServiceSpec } from "../../core/service.ts";
import type { Effect, HealthEvent } from "../supervision.ts";
import type { VirtualServerHealth } from "./virtual-server.ts";

/** Destinations by their keys: some may be asked for without all being worked out. */
export type DesiredDestinations = Pick<
  ReadonlyMap<string, DestinationSpec>,
  "get" | "has" | "keys" | typeof Symbol.iterator
>;

/** A service as the table shall hold it. */
export interface DesiredService {
  readonly spec: ServiceSpec;
  /** By their keys. */
  readonly destinations: DesiredDestinations;
  /** Keys of the destinations that the configuration names, whether wanted now or not: they are ours to remove. */
  readonly named: ReadonlySet<string>;
  /** Finishes its connections: whatever destinations it has get weight 0. */
  readonly leaving: boolean;
}

export type Action =
  /**
   * Make the virtual server's part of the table what `state` asks for (`desired` in pool.ts); `only` is the key of the one destination
   * that may differ from what was asked for before.
   */
  | { readonly kind: "write"; readonly state: VirtualServerHealth; readonly only?: string }
  /** Tell it now. */
  | { readonly kind: "event"; readonly event: Omit<HealthEvent, "at"> }
  /** Do it once the writes before it are done. */
  | { readonly kind: "effect"; readonly effect: Effect };
