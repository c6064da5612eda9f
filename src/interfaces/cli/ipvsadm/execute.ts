/**
 * Carries out one command on a plane.
 * @module
 */
import { TableError, UnsupportedError } from "../../../core/errors.ts";
import type { ServiceId, ServiceStatus } from "../../../core/service.ts";
import type { DataPlane } from "../../../planes/plane.ts";
import type { Names } from "../names.ts";
import type { Command, ListCommand } from "./command.ts";
import { connectionLine, connectionTitle, daemonsText, orderDaemons, timeoutsText } from "./connections.ts";
import { Failure } from "./failure.ts";
import type { Io } from "./io.ts";
import { type Labels, NUMERIC, named } from "./labels.ts";
import { tableText, versionLine } from "./list.ts";
import { saveDaemons, saveText, saveTimeouts } from "./save.ts";
import { sortDestinations, sortServices } from "./sort.ts";
import { refusal } from "./texts.ts";

/** What commands work with. */
export interface Surroundings {
  readonly plane: DataPlane;
  readonly io: Io;
  readonly names: Names;
}

/** Commands that {@link execute} carries out; the others need no plane or many lines. */
export type Executable = Exclude<Command, { kind: "help" | "version" | "restore" }>;

/** @throws Failure when the table refuses. */
export async function execute(command: Executable, around: Surroundings): Promise<void> {
  try {
    await carryOut(command, around);
  } catch (error) {
    throw asFailure(command, error);
  }
}

function asFailure(command: Executable, error: unknown): unknown {
  const listing = command.kind === "list";
  const status = listing ? 1 : 255;
  if (error instanceof TableError) {
    const silent = listing && (command.what === "timeouts" || command.what === "daemons");
    return new Failure(silent ? "" : refusal(command.kind, error.code), status, listing, {
      kind: "refused",
      command,
      code: error.code,
      detail: error.message,
    });
  }
  if (error instanceof UnsupportedError) return new Failure(error.message, status, listing);
  return error;
}

/** compat: the service 0.0.0.0:0 stands for all when counters are zeroed. */
const isEverything = (id: ServiceId): boolean =>
  id.kind === "address" && id.port === 0 && (id.address === "0.0.0.0" || id.address === "::");

async function carryOut(command: Executable, { plane, io, names }: Surroundings): Promise<void> {
  switch (command.kind) {
    case "add-service":
      return plane.addService(command.spec);
    case "edit-service":
      return plane.editService(command.spec);
    case "delete-service":
      return plane.removeService(command.service);
    case "flush":
      return plane.flush();
    case "add-server":
      return plane.addDestination(command.service, command.spec);
    case "edit-server":
      return plane.editDestination(command.service, command.spec);
    case "delete-server":
      return plane.removeDestination(command.service, command.destination);
    case "zero":
      return plane.zero(command.service && !isEverything(command.service) ? command.service : undefined);
    case "set":
      return plane.setTimeouts(command.timeouts);
    case "start-daemon":
      return plane.startDaemon(command.spec);
    case "stop-daemon":
      return plane.stopDaemon(command.state);
    case "save": {
      const services = arrange(await plane.services(), true);
      const labels = await labelsFor(services, command.numeric, names);
      let text = saveText(services, labels, command.full);
      if (command.full)
        text = saveTimeouts(await plane.timeouts()) + text + saveDaemons(await plane.daemons());
      return io.stdout(text);
    }
    case "list":
      return list(command, { plane, io, names });
  }
}

async function list(command: ListCommand, { plane, io, names }: Surroundings): Promise<void> {
  const json = command.json ? await import("./json.ts") : undefined;
  switch (command.what) {
    case "timeouts": {
      const timeouts = await plane.timeouts();
      return io.stdout(json ? json.jsonText({ timeouts }) : timeoutsText(timeouts));
    }
    case "daemons": {
      const daemons = await plane.daemons();
      return io.stdout(json ? json.jsonText({ daemons: orderDaemons(daemons) }) : daemonsText(daemons));
    }
    case "connections":
      return listConnections(command, { plane, io, names });
    case "table": {
      const one = command.service;
      const found = one ? [await plane.service(one)] : await plane.services();
      const services = arrange(found, command.sorted);
      const info = one ? undefined : await plane.info();
      if (json) return io.stdout(json.tableJson(info, services));
      const labels = await labelsFor(services, command.numeric, names);
      const { layout, exact } = command;
      return io.stdout((info ? versionLine(info) : "") + tableText(services, { layout, exact, labels }));
    }
  }
}

async function listConnections(command: ListCommand, { plane, io, names }: Surroundings): Promise<void> {
  if (command.json) {
    const connections = [];
    for await (const connection of plane.connections()) connections.push(connection);
    return io.stdout((await import("./json.ts")).jsonText({ connections }));
  }
  let text = connectionTitle(command.engineData);
  if (command.numeric) {
    for await (const connection of plane.connections()) {
      text += connectionLine(connection, NUMERIC, command.engineData);
      if (text.length < 65536) continue;
      io.stdout(text);
      text = "";
    }
    return io.stdout(text);
  }
  const all = [];
  for await (const connection of plane.connections()) all.push(connection);
  const labels = await named(
    names,
    all.flatMap((c) => [c.client, c.virtual, c.destination]),
  );
  for (const connection of all) text += connectionLine(connection, labels, command.engineData);
  io.stdout(text);
}

/** Sorted, or as the plane has them. */
function arrange(services: readonly ServiceStatus[], sorted: boolean): readonly ServiceStatus[] {
  if (!sorted) return services;
  return sortServices(services).map((s) => ({ ...s, destinations: sortDestinations(s.destinations) }));
}

async function labelsFor(
  services: readonly ServiceStatus[],
  numeric: boolean,
  names: Names,
): Promise<Labels> {
  if (numeric) return NUMERIC;
  const addresses = services.flatMap((s) => [
    ...(s.spec.id.kind === "address" ? [s.spec.id.address] : []),
    ...s.destinations.map((d) => d.spec.address),
  ]);
  return named(names, addresses);
}
