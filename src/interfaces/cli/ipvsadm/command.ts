/**
 * What a command line asks for, once it has been read and checked.
 * @module
 */
import type { DaemonSpec, DaemonState } from "../../../core/daemon.ts";
import type { DestinationId, DestinationSpec } from "../../../core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../../core/service.ts";
import type { Timeouts } from "../../../core/timeouts.ts";

/** How the service table is laid out; of several asked for the first of this order is taken. */
export type Layout = "stats" | "rate" | "thresholds" | "persistent-conn" | "tun-info" | "plain";

/** What a listing shows and how. */
export interface ListCommand {
  readonly kind: "list";
  readonly what: "table" | "connections" | "timeouts" | "daemons";
  /** Only this service. */
  readonly service: ServiceId | undefined;
  readonly layout: Layout;
  /** Connections: with the columns of the persistence engine. */
  readonly engineData: boolean;
  readonly numeric: boolean;
  readonly exact: boolean;
  readonly sorted: boolean;
  readonly json: boolean;
}

/** One command line. */
export type Command =
  | { readonly kind: "help" | "version" | "flush" }
  | { readonly kind: "add-service" | "edit-service"; readonly spec: ServiceSpec }
  | { readonly kind: "delete-service"; readonly service: ServiceId }
  | {
      readonly kind: "add-server" | "edit-server";
      readonly service: ServiceId;
      readonly spec: DestinationSpec;
    }
  | { readonly kind: "delete-server"; readonly service: ServiceId; readonly destination: DestinationId }
  | ListCommand
  | { readonly kind: "zero"; readonly service: ServiceId | undefined }
  | { readonly kind: "save"; readonly numeric: boolean; readonly full: boolean }
  | { readonly kind: "restore"; readonly test: boolean; readonly atomic: boolean }
  | { readonly kind: "set"; readonly timeouts: Timeouts }
  | { readonly kind: "start-daemon"; readonly spec: DaemonSpec }
  | { readonly kind: "stop-daemon"; readonly state: DaemonState };

/** Names of the commands as messages have them. */
export type CommandName = Command["kind"];
