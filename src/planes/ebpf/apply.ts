/**
 * One change of the rules: in memory first, where the table may refuse it, then in the maps.
 * @module
 */
import type { DestinationId } from "../../core/destination.ts";
import type { RealServer } from "../../core/server.ts";
import type { VirtualService } from "../../core/virtual.ts";
import type { Mirror } from "./mirror.ts";
import type { Operation } from "./operation.ts";
import type { Rules } from "./rules.ts";

/**
 * Changes the rules in memory.
 * @param mirror asked only when what is returned is called: before that there may be no maps
 * @returns what does the same to the maps
 * @throws TableError
 */
export function applyOperation(rules: Rules, change: Operation, mirror: () => Mirror): () => void {
  const { table } = rules;
  switch (change.op) {
    case "addService":
      rules.apply(change);
      return () => mirror().serviceAdded(table.find(change.spec.id));
    case "editService": {
      const was = table.find(change.spec.id).spec.scheduler;
      rules.apply(change);
      return () => mirror().serviceEdited(table.find(change.spec.id), was);
    }
    case "removeService": {
      const service = table.find(change.service);
      const number = rules.serviceNumber(service);
      const servers = [...service.destinations];
      rules.apply(change);
      return () => mirror().serviceRemoved(number, servers);
    }
    case "addDestination": {
      const heritage = rules.heritage(change.service, change.spec);
      rules.apply(change);
      const server = table.find(change.service).destinations[0]!;
      return () => mirror().destinationAdded(server, heritage);
    }
    case "editDestination": {
      rules.apply(change);
      const server = destinationOf(table.find(change.service), change.spec);
      return () => mirror().destinationEdited(server!);
    }
    case "removeDestination": {
      const service = table.find(change.service);
      const server = destinationOf(service, change.destination);
      const index = server ? service.destinations.indexOf(server) : -1;
      rules.apply(change);
      return () => mirror().destinationRemoved(server!, index);
    }
    case "free":
      rules.apply(change);
      return () => mirror().destinationFreed(change.id);
    case "idle":
      rules.apply(change);
      return () => {};
    default:
      rules.apply(change);
      return () => mirror().config();
  }
}

const destinationOf = ({ destinations }: VirtualService, id: DestinationId): RealServer | undefined =>
  destinations.find(
    ({ port, family, spec }) => port === id.port && family === id.family && spec.address === id.address,
  );
