/**
 * The rules of one namespace, in memory: the core's table, which refuses what must be refused, and the numbers by which the BPF
 * maps know services and destinations. Made from the journal's operations; the same operations always give the same rules.
 * @module
 */
import { type DestinationSpec, destinationKey, METHOD_NUMBER } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { RealServer } from "../../core/server.ts";
import { PROTOCOL_NUMBER, type ServiceId, serviceKey } from "../../core/service.ts";
import { checkSetting, DEFAULT_SETTINGS, type Settings } from "../../core/settings.ts";
import { Table, TRASH_KEEP_MS } from "../../core/table.ts";
import { DEFAULT_TIMEOUTS, MAX_TIMEOUT_S, type Timeouts } from "../../core/timeouts.ts";
import type { VirtualService } from "../../core/virtual.ts";
import type { Operation } from "./operation.ts";

/** Numbers 0.. of which the lowest free one is given out. */
class Numbers {
  readonly #used = new Set<number>();
  #lowest: number;
  #end: number;
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
    this.#lowest = first;
    this.#end = first;
  }

  /** The number that is next; {@link take} takes it. */
  get next(): number {
    while (this.#used.has(this.#lowest)) this.#lowest++;
    return this.#lowest;
  }
  take(n: number): void {
    this.#used.add(n);
    if (n !== SCRATCH) this.#end = Math.max(this.#end, n + 1);
  }
  free(n: number): void {
    this.#used.delete(n);
    if (n < this.#lowest) this.#lowest = Math.max(this.#first, n);
  }
  /** One more than the greatest number that was ever taken. */
  get end(): number {
    return this.#end;
  }
}

/** How many services and destinations of some kinds there are: what packets look at before anything else. */
export interface Census {
  services4: number;
  services6: number;
  marked: number;
  /** TCP services with port 21. */
  ftp: number;
  anyPort: number;
  /** Services whose templates are of SIP calls. */
  sip: number;
  /** Destinations, live or in the trash, whose replies do not come back through the director as a rule. */
  oneWay: number;
}

/** A firewall mark for which a service came (1) or went (-1). */
export interface MarkChange {
  readonly family: 4 | 6;
  readonly mark: number;
  readonly by: 1 | -1;
}

/** A service that was removed and made anew finds its destinations' connections again, but not their counters. */
export type Heritage = "nothing" | "connections" | "everything";

const FTP_PORT = 21;

/** Whether templates of a service are of SIP calls: the engine matters with persistence only. */
export const isSip = ({ spec }: VirtualService): boolean => spec.engine === "sip" && spec.persistent;

/** See the module's description. */
export class Rules {
  readonly table: Table;
  readonly settings: Settings = { ...DEFAULT_SETTINGS };
  timeouts: Timeouts = DEFAULT_TIMEOUTS;
  readonly census: Census = { services4: 0, services6: 0, marked: 0, ftp: 0, anyPort: 0, sip: 0, oneWay: 0 };
  /** Marks that came or went with their services since whoever follows them emptied this. */
  readonly markChanges: MarkChange[] = [];
  /** Number 0 stands for "none" and for everything together. */
  readonly #serviceNumbers = new Numbers(1);
  readonly #destinationNumbers = new Numbers(1);
  readonly #services = new Map<VirtualService, number>();
  readonly #destinations = new Map<RealServer, number>();
  readonly #oneWay = new Set<RealServer>();
  readonly #byNumber = new Map<number, RealServer>();

  constructor(host: Host) {
    this.table = new Table(host, { random: () => 0, settings: this.settings });
  }

  /** Number of a live service. */
  serviceNumber(service: VirtualService): number {
    return this.#services.get(service)!;
  }
  /** Number of a destination, live or in the trash. */
  destinationNumber(server: RealServer): number {
    return this.#destinations.get(server)!;
  }
  /** All destinations with their numbers, also those in the trash. */
  destinations(): IterableIterator<[RealServer, number]> {
    return this.#destinations.entries();
  }
  /** Numbers of services, and of destinations, are below. */
  get ends(): { readonly services: number; readonly destinations: number } {
    return { services: this.#serviceNumbers.end, destinations: this.#destinationNumbers.end };
  }
  get nextService(): number {
    return this.#serviceNumbers.next;
  }
  get nextDestination(): number {
    return this.#destinationNumbers.next;
  }

  /** Makes the change. @throws TableError when the table refuses it; nothing was changed then */
  apply(change: Operation): void {
    const { table } = this;
    switch (change.op) {
      case "addService": {
        table.addService(change.spec);
        this.#services.set(table.find(change.spec.id), change.id);
        this.#serviceNumbers.take(change.id);
        this.#count(table.find(change.spec.id), 1);
        return;
      }
      case "editService": {
        const service = table.find(change.spec.id);
        const was = isSip(service);
        table.editService(change.spec);
        this.census.sip += Number(isSip(service)) - Number(was);
        return;
      }
      case "removeService": {
        const service = table.find(change.service);
        table.removeService(change.service);
        this.#count(service, -1);
        this.#serviceNumbers.free(this.#services.get(service)!);
        this.#services.delete(service);
        return;
      }
      case "addDestination": {
        table.addDestination(change.service, change.spec);
        const server = table.find(change.service).destinations[0]!;
        this.#recount(server);
        if (this.#destinations.has(server)) return;
        this.#destinations.set(server, change.id);
        this.#byNumber.set(change.id, server);
        this.#destinationNumbers.take(change.id);
        return;
      }
      case "editDestination": {
        table.editDestination(change.service, change.spec);
        for (const server of table.find(change.service).destinations) this.#recount(server);
        return;
      }
      case "removeDestination":
        table.removeDestination(change.service, change.destination);
        return;
      case "idle": {
        const server = this.trashed(change.id);
        if (server) server.idleSince = change.at;
        return;
      }
      case "free": {
        const server = this.trashed(change.id);
        if (!server) return;
        table.release(server);
        this.#oneWay.delete(server);
        this.census.oneWay = this.#oneWay.size;
        this.#destinations.delete(server);
        this.#byNumber.delete(change.id);
        this.#destinationNumbers.free(change.id);
        return;
      }
      case "timeouts":
        this.#setTimeouts(change.timeouts);
        return;
      case "settings":
        this.#change(change.change);
        return;
      case "startDaemon":
        table.daemons.start(change.daemon, table.mixedFamilies);
        return;
      case "stopDaemon":
        table.daemons.stop(change.state);
        return;
    }
  }

  #recount(server: RealServer): void {
    const { method } = server;
    if (method === METHOD_NUMBER.nat || method === METHOD_NUMBER.fullnat) this.#oneWay.delete(server);
    else this.#oneWay.add(server);
    this.census.oneWay = this.#oneWay.size;
  }

  #count(service: VirtualService, by: 1 | -1): void {
    const { census } = this;
    if (service.family === 4) census.services4 += by;
    else census.services6 += by;
    if (isSip(service)) census.sip += by;
    if (service.fwmark !== 0) {
      census.marked += by;
      this.markChanges.push({ family: service.family, mark: service.fwmark, by });
    } else if (service.port === 0) census.anyPort += by;
    else if (service.port === FTP_PORT && service.protocol === PROTOCOL_NUMBER.tcp) census.ftp += by;
  }

  /** What a destination would bring along from the trash if it were added. */
  heritage(service: ServiceId, { address, port, family }: DestinationSpec): Heritage {
    const key = serviceKey(service);
    const server = this.table
      .trashed()
      .find(
        (d) => d.port === port && d.family === family && d.spec.address === address && d.service.key === key,
      );
    if (!server) return "nothing";
    return server.service === this.table.find(service) ? "everything" : "connections";
  }

  /** The destination in the trash with that number. */
  trashed(id: number): RealServer | undefined {
    const server = this.#byNumber.get(id);
    return server?.available === false ? server : undefined;
  }

  /**
   * What is to be done about the trash: destinations that nothing refers to any more are noted, and freed after two minutes.
   * @param referenced whether connections or templates of that number are left
   * @param now ms, monotonic
   */
  upkeep(referenced: (id: number) => boolean, now: number): Operation[] {
    return this.table.trashed().flatMap((server): Operation[] => {
      const id = this.destinationNumber(server);
      if (referenced(id)) return server.idleSince === undefined ? [] : [{ op: "idle", id, at: now }];
      if (server.idleSince === undefined) return [{ op: "idle", id, at: now }];
      return now - server.idleSince >= TRASH_KEEP_MS ? [{ op: "free", id }] : [];
    });
  }

  #setTimeouts(change: Timeouts): void {
    for (const [name, value] of Object.entries(change)) {
      if (!Number.isInteger(value) || value < 0 || value > MAX_TIMEOUT_S)
        throw new TableError("EINVAL", `timeout ${name} = ${value}: expects 0..${MAX_TIMEOUT_S} seconds`);
    }
    const { tcp, tcpFin, udp } = this.timeouts;
    this.timeouts = { tcp: change.tcp || tcp, tcpFin: change.tcpFin || tcpFin, udp: change.udp || udp };
  }

  #change(change: Partial<Settings>): void {
    const checked: Partial<Settings> = {};
    for (const [name, value] of Object.entries(change) as [keyof Settings, number | string][]) {
      Object.assign(checked, { [name]: checkSetting(name, value) });
    }
    Object.assign(this.settings, checked);
  }

  /** Whether there is anything that maps and programs are needed for. */
  get inUse(): boolean {
    return !this.table.empty || this.table.daemons.running;
  }

  /** Nothing was ever set here, or everything was taken back. */
  get isDefault(): boolean {
    const { settings, timeouts } = this;
    return (
      !this.inUse &&
      this.#destinations.size === 0 &&
      (Object.keys(settings) as (keyof Settings)[]).every((n) => settings[n] === DEFAULT_SETTINGS[n]) &&
      (Object.keys(timeouts) as (keyof Timeouts)[]).every((n) => timeouts[n] === DEFAULT_TIMEOUTS[n])
    );
  }

  /** How many operations {@link operations} gives, about. */
  get size(): number {
    return this.#services.size + this.#destinations.size + 4;
  }

  /** The shortest way to these rules: operations that give them. */
  operations(): Operation[] {
    const all: Operation[] = [{ op: "timeouts", timeouts: this.timeouts }];
    const changed = (Object.keys(this.settings) as (keyof Settings)[]).filter(
      (name) => this.settings[name] !== DEFAULT_SETTINGS[name],
    );
    if (changed.length > 0)
      all.push({
        op: "settings",
        change: Object.fromEntries(changed.map((name) => [name, this.settings[name]])),
      });
    // Services and destinations are listed newest first.
    for (const service of this.table.services().reverse()) {
      all.push({ op: "addService", spec: service.spec, id: this.serviceNumber(service) });
      for (const server of [...service.destinations].reverse()) {
        const id = this.destinationNumber(server);
        const { spec, lastWeight } = server;
        // mh goes on by the last weight that was not 0.
        const quiesced = spec.weight === 0 && lastWeight !== 0;
        const first = quiesced ? { ...spec, weight: lastWeight } : spec;
        all.push({ op: "addDestination", service: service.id, spec: first, id });
        if (quiesced) all.push({ op: "editDestination", service: service.id, spec });
      }
    }
    all.push(...this.#trashOperations());
    for (const daemon of this.table.daemons.list()) all.push({ op: "startDaemon", daemon });
    return all;
  }

  /** Trash cannot be added: its destinations are added and removed again, under a service that may have to come for it alone. */
  #trashOperations(): Operation[] {
    const all: Operation[] = [];
    for (const server of this.table.trashed()) {
      const { spec: service, id: name } = server.service;
      const live = this.#live(name);
      const id = this.destinationNumber(server);
      if (!live) all.push({ op: "addService", spec: { ...service, scheduler: "rr" }, id: SCRATCH });
      all.push({ op: "addDestination", service: name, spec: server.spec, id });
      all.push({
        op: "removeDestination",
        service: name,
        destination: { family: server.family, address: server.spec.address, port: server.port },
      });
      if (!live) all.push({ op: "removeService", service: name });
      if (server.idleSince !== undefined) all.push({ op: "idle", id, at: server.idleSince });
    }
    return all;
  }

  #live(id: ServiceId): boolean {
    const key = serviceKey(id);
    return this.table.services().some((service) => service.key === key);
  }

  /** For messages: `tcp 10.0.0.1:80 → 10.0.0.2:80`. */
  describe(server: RealServer): string {
    return `${server.service.key} → ${destinationKey(server.spec)}`;
  }
}

/** A number that no service keeps. */
const SCRATCH = 0xffffffff;
