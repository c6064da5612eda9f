/**
 * A table on paper, for `-R --test`: it answers as the real one would where that can be told without touching it.
 * @module
 */
import type { DaemonState } from "../../../core/daemon.ts";
import { type DestinationSpec, destinationKey } from "../../../core/destination.ts";
import { TableError } from "../../../core/errors.ts";
import { type ServiceId, serviceKey } from "../../../core/service.ts";
import type { Executable } from "./execute.ts";
import type { Snapshot } from "./rollback.ts";

/** Existence and thresholds are checked; schedulers, engines and addresses only the real table knows. */
export class Rehearsal {
  readonly #services = new Map<string, Set<string>>();
  readonly #daemons: Set<DaemonState>;

  constructor(start: Snapshot) {
    for (const { spec, destinations } of start.services) {
      this.#services.set(serviceKey(spec.id), new Set(destinations.map((d) => destinationKey(d.spec))));
    }
    this.#daemons = new Set(start.daemons.map((d) => d.state));
  }

  /** @throws TableError as the table would. */
  play(command: Executable): void {
    switch (command.kind) {
      case "add-service": {
        const key = serviceKey(command.spec.id);
        if (this.#services.has(key)) throw new TableError("EEXIST", `${key} is in the table already`);
        this.#services.set(key, new Set());
        return;
      }
      case "edit-service":
        this.#of(command.spec.id);
        return;
      case "delete-service":
        this.#of(command.service);
        this.#services.delete(serviceKey(command.service));
        return;
      case "zero":
        if (command.service) this.#of(command.service);
        return;
      case "list":
        if (command.service) this.#of(command.service);
        return;
      case "flush":
        this.#services.clear();
        return;
      case "add-server":
      case "edit-server":
        this.#server(command.kind, this.#of(command.service), command.spec);
        return;
      case "delete-server": {
        const key = destinationKey(command.destination);
        if (!this.#of(command.service).delete(key)) throw new TableError("ENOENT", `no server ${key}`);
        return;
      }
      case "start-daemon":
        if (this.#daemons.has(command.spec.state)) {
          throw new TableError("EEXIST", `the ${command.spec.state} daemon runs already`);
        }
        this.#daemons.add(command.spec.state);
        return;
      case "stop-daemon":
        if (!this.#daemons.delete(command.state)) {
          throw new TableError("ESRCH", `no ${command.state} daemon runs`);
        }
        return;
    }
  }

  #of(id: ServiceId): Set<string> {
    const servers = this.#services.get(serviceKey(id));
    if (!servers) throw new TableError("ESRCH", `there is no service ${serviceKey(id)}`);
    return servers;
  }

  #server(kind: "add-server" | "edit-server", servers: Set<string>, spec: DestinationSpec): void {
    const key = destinationKey(spec);
    if (spec.lower > spec.upper) {
      throw new TableError(
        "ERANGE",
        `the lower threshold ${spec.lower} is above the upper one ${spec.upper}`,
      );
    }
    if (kind === "edit-server" && !servers.has(key)) throw new TableError("ENOENT", `no server ${key}`);
    if (kind === "add-server" && servers.has(key)) throw new TableError("EEXIST", `server ${key} exists`);
    servers.add(key);
  }
}
