/**
 * Carries wanted tables to the plane: keeps a ledger of what the plane holds, does only what differs, in one lane for each owner (virtual
 * server), so that a slow or refusing plane delays nobody but those who wait for it.
 * @module
 */
import { type DestinationSpec, destinationKey } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
import { type ServiceId, type ServiceStatus, serviceKey } from "../../core/service.ts";
import type { DataPlane } from "../../planes/plane.ts";
import type { DesiredService } from "../health/action.ts";
import { difference, type HeldService, heldFrom, type Operation, type Strangers } from "../reconcile.ts";

/** Reads again and starts anew at most this often when the table is not as the ledger has it. */
const ATTEMPTS = 4;
/** Answers that tell that the table is not as the ledger has it. */
const STALE: ReadonlySet<string> = new Set(["EEXIST", "ESRCH", "ENOENT"]);

export interface WriterOptions {
  readonly plane: DataPlane;
  /** What becomes of destinations in our services that nobody asked for. */
  readonly foreign: () => Strangers["foreign"];
  /** The plane refused; told once until it succeeds or refuses otherwise. */
  readonly onRefused: (owner: string, message: string) => void;
}

interface Ledger extends HeldService {
  readonly destinations: Map<string, DestinationSpec>;
}

interface Lane {
  readonly jobs: (() => Promise<void> | void)[];
  running: boolean;
  /** What is wanted; worked out when it is needed. */
  wanted: () => readonly DesiredService[];
  /** It has changed since it was last carried out. */
  dirty: boolean;
  /** Keys of the services that are its own. */
  readonly owned: Set<string>;
  /** Refusals that stand, by operation. */
  readonly refused: Map<string, string>;
  /** Operations refused in the present round. */
  readonly again: Set<string>;
}

/** See the module's description. */
export class TableWriter {
  /** Operations that the plane carried out. */
  changes = 0;
  /** Jobs that wait or run. */
  pending = 0;
  readonly #options: WriterOptions;
  readonly #ledger = new Map<string, Ledger>();
  readonly #ours = new Map<string, Set<string>>();
  readonly #owners = new Map<string, string>();
  readonly #lanes = new Map<string, Lane>();
  #idle: (() => void)[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Takes over what the plane holds of a service. */
  adopt(status: ServiceStatus): void {
    this.#ledger.set(serviceKey(status.spec.id), ledgerFrom(status));
  }

  /** What the table is known to hold of a service. */
  held(id: ServiceId): HeldService | undefined {
    return this.#ledger.get(serviceKey(id));
  }

  /**
   * Makes these the services of an owner; those it had besides are removed. Returns at once. What waits for the plane already is left out
   * when something newer is wanted.
   * @param ids of all of them
   */
  write(owner: string, ids: readonly ServiceId[], services: () => readonly DesiredService[]): void {
    const lane = this.#lane(owner);
    let result: readonly DesiredService[] | undefined;
    lane.wanted = () => {
      result ??= services();
      return result;
    };
    lane.dirty = true;
    for (const id of ids) this.#claim(owner, lane, serviceKey(id));
    this.#enqueue(lane, () => (lane.dirty ? this.#fulfil(owner, lane) : undefined));
  }

  /** Calls back after everything that was asked for this owner before; at once when nothing is under way. */
  after(owner: string, work: () => void): void {
    this.#enqueue(this.#lane(owner), work);
  }

  /** Forgets an owner that has nothing in the table any more. */
  forget(owner: string): void {
    const lane = this.#lanes.get(owner);
    const idle = lane && !lane.running && lane.jobs.length === 0;
    if (idle && lane.owned.size === 0) this.#lanes.delete(owner);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Refusals that stand. */
  get refusals(): string[] {
    return [...this.#lanes.values()].flatMap((lane) => [...lane.refused.values()]);
  }

  /**
   * Compares what the plane holds with what is wanted, and mends the services that differ.
   * @returns what was done, by owner
   */
  async repair(statuses: readonly ServiceStatus[]): Promise<ReadonlyMap<string, readonly Operation[]>> {
    const found = new Map(statuses.map((s) => [serviceKey(s.spec.id), heldFrom(s)]));
    const mended = new Map<string, Operation[]>();
    const waits: Promise<void>[] = [];
    for (const [owner, lane] of this.#lanes) {
      if (lane.running || lane.jobs.length > 0) continue;
      const odd = lane.wanted().filter((s) => this.#owns(owner, s) && this.#differs(found, s));
      if (odd.length === 0 && lane.owned.size <= lane.wanted().length) continue;
      waits.push(
        new Promise((resolve) => {
          this.#enqueue(lane, async () => {
            try {
              const done: Operation[] = [];
              // What was found may be old by now: each service is read again before it is touched.
              for (const service of odd) await this.#reread(service.spec.id);
              await this.#fulfil(owner, lane, done);
              if (done.length > 0) mended.set(owner, done);
            } finally {
              resolve();
            }
          });
        }),
      );
    }
    await Promise.all(waits);
    return mended;
  }

  #differs(found: ReadonlyMap<string, HeldService>, service: DesiredService): boolean {
    const key = serviceKey(service.spec.id);
    return difference(found.get(key), service, this.#strangers(key)).length > 0;
  }

  #owns(owner: string, { spec }: DesiredService): boolean {
    return this.#owners.get(serviceKey(spec.id)) === owner;
  }

  #strangers(key: string): Strangers {
    return { ours: this.#ours.get(key) ?? new Set(), foreign: this.#options.foreign() };
  }

  #lane(owner: string): Lane {
    let lane = this.#lanes.get(owner);
    if (!lane) {
      lane = {
        jobs: [],
        running: false,
        wanted: () => [],
        dirty: false,
        owned: new Set(),
        refused: new Map(),
        again: new Set(),
      };
      this.#lanes.set(owner, lane);
    }
    return lane;
  }

  /** From now on the service is this owner's; what the former one has under way comes first. */
  #claim(owner: string, lane: Lane, key: string): void {
    const former = this.#owners.get(key);
    if (former === owner) return;
    this.#owners.set(key, owner);
    lane.owned.add(key);
    if (former !== undefined) this.#lanes.get(former)?.owned.delete(key);
    const other = former === undefined ? undefined : this.#lanes.get(former);
    if (!other?.running) return;
    this.#enqueue(lane, () => new Promise<void>((resolve) => this.#enqueue(other, resolve)));
  }

  #enqueue(lane: Lane, job: () => Promise<void> | void): void {
    lane.jobs.push(job);
    this.pending++;
    if (!lane.running) void this.#run(lane);
  }

  async #run(lane: Lane): Promise<void> {
    lane.running = true;
    for (let job = lane.jobs.shift(); job; job = lane.jobs.shift()) {
      const going = job();
      if (going) await going;
      this.pending--;
    }
    lane.running = false;
    if (this.pending > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  async #fulfil(owner: string, lane: Lane, done: Operation[] = []): Promise<void> {
    const services = lane.wanted();
    lane.dirty = false;
    const kept = new Set<string>();
    lane.again.clear();
    for (const service of services) {
      kept.add(serviceKey(service.spec.id));
      if (this.#owns(owner, service)) await this.#make(owner, lane, service, done);
    }
    for (const key of [...lane.owned]) {
      if (kept.has(key)) continue;
      const held = this.#ledger.get(key);
      const operation = held && ({ kind: "remove-service", id: held.spec.id } as const);
      if (operation && (await this.#try(owner, lane, operation, done)) === "refused") continue;
      if (this.#owners.get(key) !== owner) continue;
      lane.owned.delete(key);
      this.#owners.delete(key);
      this.#ours.delete(key);
      this.#ledger.delete(key);
    }
    // What was refused once and is not wanted any more is no trouble.
    for (const name of lane.refused.keys()) if (!lane.again.has(name)) lane.refused.delete(name);
  }

  async #make(owner: string, lane: Lane, service: DesiredService, done: Operation[]): Promise<void> {
    const key = serviceKey(service.spec.id);
    const ours = this.#ours.get(key) ?? new Set();
    this.#ours.set(key, ours);
    for (const name of service.destinations.keys()) ours.add(name);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      let stale = false;
      for (const operation of difference(this.#ledger.get(key), service, this.#strangers(key))) {
        const outcome = await this.#try(owner, lane, operation, done, attempt === ATTEMPTS);
        if (outcome === "done") continue;
        stale = outcome === "stale";
        // Without the service its destinations are refused as well; other refusals are each for themselves.
        if (stale || operation.kind === "add-service") break;
      }
      if (!stale) return;
      await this.#reread(service.spec.id);
    }
  }

  async #reread(id: ServiceId): Promise<void> {
    try {
      this.adopt(await this.#options.plane.service(id));
    } catch (error) {
      if (error instanceof TableError && error.code === "ESRCH") this.#ledger.delete(serviceKey(id));
    }
  }

  async #try(
    owner: string,
    lane: Lane,
    op: Operation,
    done: Operation[],
    last = false,
  ): Promise<"done" | "stale" | "refused"> {
    const name = describe(op);
    try {
      await perform(this.#options.plane, op);
    } catch (error) {
      const code = error instanceof TableError ? error.code : "";
      const removing = op.kind === "remove-service" || op.kind === "remove-destination";
      // What is gone already need not be removed.
      if (removing && (code === "ESRCH" || code === "ENOENT")) {
        this.#note(op);
        return "done";
      }
      // ENOENT about a service is about its scheduler.
      const scheduler = code === "ENOENT" && (op.kind === "add-service" || op.kind === "edit-service");
      if (STALE.has(code) && !scheduler && !last) return "stale";
      const message = `${name}: ${error instanceof Error ? error.message : String(error)}`;
      lane.again.add(name);
      if (lane.refused.get(name) !== message) {
        lane.refused.set(name, message);
        this.#options.onRefused(owner, message);
      }
      return "refused";
    }
    this.#note(op);
    this.changes++;
    done.push(op);
    return "done";
  }

  /** Keeps the ledger. */
  #note(op: Operation): void {
    if (op.kind === "add-service" || op.kind === "edit-service") {
      const key = serviceKey(op.spec.id);
      this.#ledger.set(key, {
        spec: op.spec,
        destinations: this.#ledger.get(key)?.destinations ?? new Map(),
      });
      return;
    }
    if (op.kind === "remove-service") {
      this.#ledger.delete(serviceKey(op.id));
      return;
    }
    const key = serviceKey(op.service);
    const destinations = this.#ledger.get(key)?.destinations;
    if (op.kind === "remove-destination") {
      destinations?.delete(destinationKey(op.id));
      this.#ours.get(key)?.delete(destinationKey(op.id));
    } else destinations?.set(destinationKey(op.spec), op.spec);
  }
}

const ledgerFrom = (status: ServiceStatus): Ledger => heldFrom(status) as Ledger;

function perform(plane: DataPlane, op: Operation): Promise<void> {
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
