/**
 * The changes of a rule table, as the journal keeps them.
 * @module
 */
import type { DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { DestinationId, DestinationSpec } from "../../core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../core/service.ts";
import type { Settings } from "../../core/settings.ts";
import type { Timeouts } from "../../core/timeouts.ts";

/** One change. Numbers (`id`) name services and destinations in the BPF maps. */
export type Operation =
  | { readonly op: "addService"; readonly spec: ServiceSpec; readonly id: number }
  | { readonly op: "editService"; readonly spec: ServiceSpec }
  | { readonly op: "removeService"; readonly service: ServiceId }
  | {
      readonly op: "addDestination";
      readonly service: ServiceId;
      readonly spec: DestinationSpec;
      /** Not taken when the destination comes back from the trash: it keeps the one it had. */
      readonly id: number;
    }
  | { readonly op: "editDestination"; readonly service: ServiceId; readonly spec: DestinationSpec }
  | { readonly op: "removeDestination"; readonly service: ServiceId; readonly destination: DestinationId }
  /** A removed destination was found without connections; `at` in ms, monotonic. */
  | { readonly op: "idle"; readonly id: number; readonly at: number }
  /** Its number may be used again. */
  | { readonly op: "free"; readonly id: number }
  | { readonly op: "timeouts"; readonly timeouts: Timeouts }
  | { readonly op: "settings"; readonly change: Partial<Settings> }
  /** Every default filled in: the interface may be gone when this is read. */
  | { readonly op: "startDaemon"; readonly daemon: DaemonStatus }
  | { readonly op: "stopDaemon"; readonly state: DaemonState };
