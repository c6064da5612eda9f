/**
 * Carries wanted tables to the plane: keeps a ledger of what the plane holds, does only what differs, in one lane for each owner (virtual
 * server), so that a slow or refusing plane delays nobody but those who wait for it.
 * @module
 */
import { type DestinationSpec, destinationKey } from "../../core/destination.ts";
import { TableError, UnsupportedError } from "../../core/errors.ts";
import { type ServiceId, type ServiceStatus, serviceKey } from "../../core/service.ts";
import type { DataPlane } from "../../planes/plane.ts";
import type { DesiredService } from "../health/action.ts";
import { difference, type HeldService, heldFrom, type Operation, type Strangers } from "../reconcile.ts";
import { batches, Lane } from "./lane.ts";
import { describe, entryOf, perform } from "./operation.ts";

/** Reads again and starts anew at most this often when the table is not as the ledger has it. */
const ATTEMPTS = 4;
/** Changes of destinations that are under way together: a plane behind a socket would wait for each else. */
const TOGETHER = 64;
/** Answers that tell that the table is not as the ledger has it. */
const STALE: ReadonlySet<string> = new Set(["EEXIST", "ESRCH", "ENOENT"]);

export interface WriterOptions {
  readonly plane: DataPlane;
  /** What becomes of destinations in our services that nobody asked for. */
  readonly foreign: () => Strangers["foreign"];
  /** The plane refused; told once until it succeeds or refuses otherwise. `owner` is absent when the plane does not answer at all. */
  readonly onRefused: (owner: string | undefined, message: string) => void;
  /** A callback of `after` threw, or there is a bug here: told, and the work goes on. @default thrown where nobody catches it */
  readonly onBug?: (error: unknown) => void;
}

interface Ledger extends HeldService {
  readonly destinations: Map<string, DestinationSpec>;
}

type Outcome =
  | "done"
  /** The table is not as the ledger has it. */
  | "stale"
  | "refused"
  /** The plane does not answer. */
  | "unreachable"
  /** Everything is to be different by now. */
  | "overtaken";

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
  /** The eBPF plane takes a lock between processes for each change: many would only stand in each other's way. */
  readonly #together: number;
  #idle: (() => void)[] = [];
  /** What the plane said when it last did not answer. */
  #unreachable: string | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#together = options.plane.name === "ebpf" ? 1 : TOGETHER;
  }

  /**
   * Takes over what the plane holds of a service.
   * @param ours keys of destinations in it that are ours to remove
   * @param owner whose it is from now on, when nothing is going to be written for it
   */
  adopt(status: ServiceStatus, ours: Iterable<string> = [], owner?: string): void {
    const key = serviceKey(status.spec.id);
    this.#ledger.set(key, ledgerFrom(status));
    this.#ours.set(key, new Set([...(this.#ours.get(key) ?? []), ...ours]));
    if (owner !== undefined) this.#claim(owner, this.#lane(owner), key);
  }

  /** Whether a service is somebody's, by its key: also one that is just being removed. */
  has(service: string): boolean {
    return this.#owners.has(service);
  }

  /**
   * Makes these the services of an owner; those it had besides are removed. Returns at once. What waits for the plane already is left out
   * when something newer is wanted.
   * @param ids of all of them
   * @param only key of the one destination that differs from what was wanted last; the services are the same then
   */
  write(
    owner: string,
    ids: readonly ServiceId[],
    services: () => readonly DesiredService[],
    only?: string,
  ): void {
    const lane = this.#lane(owner);
    let result: readonly DesiredService[] | undefined;
    lane.wanted = () => {
      result ??= services();
      return result;
    };
    if (only === undefined) {
      lane.dirty = "all";
      for (const id of ids) this.#claim(owner, lane, serviceKey(id));
    } else if (lane.dirty !== "all") {
      lane.dirty ??= new Set();
      lane.dirty.add(only);
    }
    this.#enqueue(lane, () => (lane.dirty ? this.#fulfil(owner, lane) : undefined));
  }

  /** Calls back after everything that was asked for this owner before; at once when nothing is under way. */
  after(owner: string, work: () => void): void {
    this.#enqueue(this.#lane(owner), work);
  }

  /** Forgets an owner that has nothing in the table any more. */
  forget(owner: string): void {
    const lane = this.#lanes.get(owner);
    if (lane && !lane.busy && lane.owned.size === 0) this.#lanes.delete(owner);
  }

  /** All that have, or had, something in the table. */
  get owners(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Refusals that stand. */
  get refusals(): string[] {
    const all = [...this.#lanes.values()].flatMap((lane) => lane.refusals.messages);
    return this.#unreachable === undefined ? all : [...all, this.#unreachable];
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
      if (lane.busy) continue;
      const odd = lane.wanted().filter((s) => this.#owns(owner, s) && this.#differs(found, s));
      const open = lane.dirty !== undefined || lane.refusals.some || lane.owned.size > lane.wanted().length;
      if (odd.length === 0 && !open) continue;
      waits.push(
        new Promise((resolve) => {
          this.#enqueue(lane, async () => {
            try {
              const done: Operation[] = [];
              // What was found may be old by now: each service is read again before it is touched.
              for (const service of odd) await this.#reread(service.spec.id);
              lane.dirty = "all";
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
      lane = new Lane((error) => this.#finished(error));
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
    const other = former === undefined ? undefined : this.#lanes.get(former);
    other?.owned.delete(key);
    if (!other?.busy) return;
    this.#enqueue(lane, () => new Promise<void>((resolve) => this.#enqueue(other, resolve)));
  }

  #enqueue(lane: Lane, job: () => Promise<void> | void): void {
    this.pending++;
    lane.enqueue(job);
  }

  #finished(error: unknown): void {
    this.pending--;
    if (error !== undefined) {
      const tell = this.#options.onBug;
      if (tell) tell(error);
      else
        queueMicrotask(() => {
          throw error;
        });
    }
    if (this.pending > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  async #fulfil(owner: string, lane: Lane, done: Operation[] = []): Promise<void> {
    for (let outcome: Outcome = "overtaken"; outcome === "overtaken"; ) {
      const only = lane.dirty === "all" ? undefined : lane.dirty;
      lane.dirty = undefined;
      lane.refusals.begin();
      outcome = await this.#round(owner, lane, only, done);
      if (outcome === "unreachable") lane.dirty = "all";
      else if (outcome === "done") lane.refusals.end(only);
    }
  }

  /** @param only keys of the destinations that changed; absent: anything may have */
  async #round(
    owner: string,
    lane: Lane,
    only: ReadonlySet<string> | undefined,
    done: Operation[],
  ): Promise<Outcome> {
    const services = lane.wanted();
    const kept = new Set<string>();
    for (const service of services) {
      kept.add(serviceKey(service.spec.id));
      if (!this.#owns(owner, service)) continue;
      const outcome = await this.#make(owner, lane, service, only, done);
      if (outcome === "unreachable" || outcome === "overtaken") return outcome;
    }
    if (only) return "done";
    for (const key of [...lane.owned]) {
      if (kept.has(key)) continue;
      if (lane.dirty === "all") return "overtaken";
      const held = this.#ledger.get(key);
      const operation = held && ({ kind: "remove-service", id: held.spec.id } as const);
      const outcome = operation && (await this.#try(owner, lane, operation, done, true));
      if (outcome === "unreachable") return outcome;
      if (outcome === "refused") continue;
      lane.owned.delete(key);
      if (this.#owners.get(key) !== owner) continue;
      this.#owners.delete(key);
      this.#ours.delete(key);
      this.#ledger.delete(key);
    }
    return "done";
  }

  async #make(
    owner: string,
    lane: Lane,
    service: DesiredService,
    changed: ReadonlySet<string> | undefined,
    done: Operation[],
  ): Promise<Outcome> {
    const key = serviceKey(service.spec.id);
    let only = this.#ledger.has(key) ? changed : undefined;
    this.#own(key, service, only);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const operations = difference(this.#ledger.get(key), service, this.#strangers(key), only);
      const outcome = await this.#carryOut(owner, lane, operations, done, attempt === ATTEMPTS);
      if (outcome !== "stale") return outcome;
      await this.#reread(service.spec.id);
      only = undefined;
    }
    return "done";
  }

  /** Notes which destinations are ours: those that are wanted, and those that were and are still there. */
  #own(key: string, { destinations }: DesiredService, only: ReadonlySet<string> | undefined): void {
    const ours = this.#ours.get(key) ?? new Set();
    this.#ours.set(key, ours);
    const held = this.#ledger.get(key)?.destinations;
    for (const name of only ?? destinations.keys()) if (destinations.has(name)) ours.add(name);
    for (const name of only ?? ours) if (!destinations.has(name) && !held?.has(name)) ours.delete(name);
  }

  async #carryOut(
    owner: string,
    lane: Lane,
    operations: readonly Operation[],
    done: Operation[],
    last: boolean,
  ): Promise<Outcome> {
    for (const batch of batches(operations, this.#together)) {
      if (lane.dirty === "all") return "overtaken";
      const outcomes = await Promise.all(batch.map((op) => this.#try(owner, lane, op, done, last)));
      if (outcomes.includes("unreachable")) return "unreachable";
      if (outcomes.includes("stale")) return "stale";
      // Without the service its destinations are refused as well; other refusals are each for themselves.
      if (batch[0]?.kind === "add-service" && outcomes.includes("refused")) return "done";
    }
    return "done";
  }

  async #reread(id: ServiceId): Promise<void> {
    try {
      this.#ledger.set(serviceKey(id), ledgerFrom(await this.#options.plane.service(id)));
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
  ): Promise<"done" | "stale" | "refused" | "unreachable"> {
    try {
      await perform(this.#options.plane, op);
    } catch (error) {
      return this.#failed(owner, lane, op, error, last);
    }
    this.#unreachable = undefined;
    this.#note(op);
    this.changes++;
    done.push(op);
    return "done";
  }

  #failed(owner: string, lane: Lane, op: Operation, error: unknown, last: boolean) {
    const said = error instanceof Error ? error.message : String(error);
    const judged = error instanceof TableError || error instanceof UnsupportedError;
    const code = error instanceof TableError ? error.code : "";
    if (!judged || code === "EIO") {
      const message = `the plane does not answer: ${said}`;
      if (this.#unreachable !== message) this.#options.onRefused(undefined, message);
      this.#unreachable = message;
      return "unreachable";
    }
    this.#unreachable = undefined;
    const removing = op.kind === "remove-service" || op.kind === "remove-destination";
    // Not the destination is missing, but the service: there is more to mend.
    const without = op.kind === "remove-destination" && code === "ESRCH" && !last;
    // What is gone already need not be removed.
    if (removing && !without && (code === "ESRCH" || code === "ENOENT")) {
      this.#note(op);
      return "done";
    }
    // ENOENT about a service is about its scheduler.
    const scheduler = code === "ENOENT" && (op.kind === "add-service" || op.kind === "edit-service");
    if (STALE.has(code) && !scheduler && !last) return "stale";
    const name = describe(op);
    const message = `${name}: ${said}`;
    if (lane.refusals.add(name, message, entryOf(op))) this.#options.onRefused(owner, message);
    return "refused";
  }

  /** Keeps the ledger. */
  #note(op: Operation): void {
    if (op.kind === "add-service" || op.kind === "edit-service") {
      const key = serviceKey(op.spec.id);
      const destinations = this.#ledger.get(key)?.destinations ?? new Map();
      this.#ledger.set(key, { spec: op.spec, destinations });
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
