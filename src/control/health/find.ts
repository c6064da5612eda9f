/**
 * Which service and server an operator means.
 * @module
 */
import { type DestinationId, destinationKey } from "../../core/destination.ts";
import { type Hold, SupervisorError, type SupervisorOptions } from "../supervision.ts";
import type { VirtualServerSpec } from "../wanted.ts";
import { meansServer, meansService } from "./names.ts";
import type { ServerHealth } from "./real-server.ts";
import type { VirtualServerHealth } from "./virtual-server.ts";

/** The virtual server that is meant. @throws SupervisorError unknown-service, ambiguous: with the names of what there is */
export function findService(fleet: readonly VirtualServerHealth[], text: string): VirtualServerHealth {
  const all = fleet.filter((v) => !v.removed);
  const found = all.filter((v) => meansService(text, v.spec));
  if (found.length === 1) return found[0];
  const names = (found.length > 1 ? found : all).map((v) => v.spec.name).join(", ");
  if (found.length > 1) throw new SupervisorError("ambiguous", `service ${text} may be any of ${names}`);
  const there = names === "" ? "there is none" : `there is ${names}`;
  throw new SupervisorError("unknown-service", `no virtual server ${text}; ${there}`);
}

/** The real server that is meant. @throws SupervisorError unknown-server, ambiguous */
export function findServer(v: VirtualServerHealth, text: string): ServerHealth {
  const exact = v.servers.all.filter((s) => text === s.name || text === destinationKey(s.spec.id));
  const found = exact.length > 0 ? exact : v.servers.all.filter((s) => meansServer(text, s.name, s.spec.id));
  if (found.length === 1) return found[0];
  const names = (found.length > 1 ? found : v.servers.all).map((s) => s.name).join(", ");
  if (found.length > 1) throw new SupervisorError("ambiguous", `server ${text} may be any of ${names}`);
  throw new SupervisorError(
    "unknown-server",
    `${v.spec.name} has no server ${text}; it has ${names || "none"}`,
  );
}

/** What a former daemon was told about a server. */
export function holdFor(
  holds: NonNullable<SupervisorOptions["holds"]>,
  service: VirtualServerSpec,
  id: DestinationId,
): Hold | undefined {
  const means = (name: string): boolean =>
    name.startsWith(`[${id.address}]:`) && name.endsWith(`:${id.port}`);
  return holds.find((h) => meansService(h.service, service) && means(h.server))?.hold;
}
