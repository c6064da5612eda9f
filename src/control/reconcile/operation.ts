/**
 * One change of the table: carried out, and in words.
 * @module
 */
import { destinationKey } from "../../core/destination.ts";
import { serviceKey } from "../../core/service.ts";
import type { DataPlane } from "../../planes/plane.ts";
import type { Operation } from "../reconcile.ts";

/** Asks the plane for it. */
export function perform(plane: DataPlane, op: Operation): Promise<void> {
  switch (op.kind) {
    case "add-service":
      return plane.addService(op.spec);
    case "edit-service":
      return plane.editService(op.spec);
    case "remove-service":
      return plane.removeService(op.id);
    case "add-destination":
      return plane.addDestination(op.service, op.spec);
    case "edit-destination":
      return plane.editDestination(op.service, op.spec);
    case "remove-destination":
      return plane.removeDestination(op.service, op.id);
  }
}

/** An operation for people: `add server 10.0.1.1:80 to tcp 10.0.0.1:80`. */
export function describe(op: Operation): string {
  switch (op.kind) {
    case "add-service":
      return `add service ${serviceKey(op.spec.id)}`;
    case "edit-service":
      return `edit service ${serviceKey(op.spec.id)}`;
    case "remove-service":
      return `remove service ${serviceKey(op.id)}`;
    case "add-destination":
      return `add server ${destinationKey(op.spec)} to ${serviceKey(op.service)}`;
    case "edit-destination":
      return `edit server ${destinationKey(op.spec)} of ${serviceKey(op.service)}`;
    case "remove-destination":
      return `remove server ${destinationKey(op.id)} from ${serviceKey(op.service)}`;
  }
}

/** Several operations for people: the first few, and how many more. */
export function describeAll(operations: readonly Operation[], most = 5): string {
  const shown = operations.slice(0, most).map(describe).join("; ");
  const more = operations.length - most;
  return more > 0 ? `${shown}; and ${more} more` : shown;
}

/** Key of the destination that it is about. */
export function entryOf(op: Operation): string | undefined {
  if (op.kind === "add-destination" || op.kind === "edit-destination") return destinationKey(op.spec);
  return op.kind === "remove-destination" ? destinationKey(op.id) : undefined;
}
