/**
 * What the health machines ask to be done, in order.
 * @module
 */
import type { DestinationSpec } from "../../core/destination.ts";
import type { ServiceSpec } from "../../core/service.ts";
import type { Effect, HealthEvent } from "../supervision.ts";
import type { VirtualServerHealth } from "./virtual-server.ts";

/** A service as the table shall hold it. */
export interface DesiredService {
  readonly spec: ServiceSpec;
  /** By their keys. */
  readonly destinations: ReadonlyMap<string, DestinationSpec>;
  /** Keys of the destinations that the configuration names, whether wanted now or not: they are ours to remove. */
  readonly named: ReadonlySet<string>;
  /** Finishes its connections: whatever destinations it has get weight 0. */
  readonly leaving: boolean;
}

export type Action =
  /** Make the virtual server's part of the table what `state` asks for (`desired` in pool.ts). */
  | { readonly kind: "write"; readonly state: VirtualServerHealth }
  /** Tell it now. */
  | { readonly kind: "event"; readonly event: Omit<HealthEvent, "at"> }
  /** Do it once the writes before it are done. */
  | { readonly kind: "effect"; readonly effect: Effect };
