/**
 * The virtual server table: services and their destinations, with the rules by which the kernel accepts changes to it
 * (`net/netfilter/ipvs/ip_vs_ctl.c`), in its order of checks. Every refusal is a {@link TableError} and changes nothing.
 * @module
 */
import { equalWords, fold, parseAddress, toWords } from "../wire/address.ts";
import { DaemonRegister } from "./daemons.ts";
import { type DestinationId, type DestinationSpec, destinationKey, METHOD_NUMBER } from "./destination.ts";
import { TableError } from "./errors.ts";
import { Meter } from "./estimator.ts";
import type { Host, Words } from "./host.ts";
import { schedulerByName } from "./schedulers/index.ts";
import type { Scheduler, SchedulerEnv } from "./schedulers/scheduler.ts";
import { RealServer } from "./server.ts";
import {
  type Family,
  fullMask,
  PROTOCOL_NUMBER,
  type ServiceId,
  type ServiceSpec,
  serviceKey,
} from "./service.ts";
import { VirtualService } from "./virtual.ts";

/** The trash is swept this often, ms. */
export const TRASH_SWEEP_MS = 60_000;
/** A trashed destination without connections is kept at least this long, ms. */
export const TRASH_KEEP_MS = 120_000;

const FTP_PORT = 21;
const MAX_THRESHOLD = 0x7fffffff;
const MAX_WEIGHT = 0x7fffffff;

/** Services, destinations, trash, totals. */
export class Table {
  /** Counters of everything together. */
  readonly total = new Meter();
  readonly daemons: DaemonRegister;
  /** Counts up with every change of services or destinations. */
  changes = 0;
  /** Services with port 21, and with port 0: the lookups for them are skipped while there are none. */
  private ftpServices = 0;
  private anyPortServices = 0;
  private familyServices = { 4: 0, 6: 0 };
  private buckets: (VirtualService | undefined)[] = new Array(256).fill(undefined);
  private addressCount = 0;
  private readonly marks = new Map<number, VirtualService>();
  private readonly byKey = new Map<string, VirtualService>();
  /** All destinations, live and trashed, by index. */
  private readonly register: (RealServer | undefined)[] = [];
  private readonly vacant: number[] = [];
  private trash: RealServer[] = [];
  /** Live destinations by folded address, for packets that come from servers. */
  private readonly byAddress = new Map<number, RealServer[]>();

  private readonly host: Host;
  private readonly env: SchedulerEnv;
  /** Told when a destination came into its service. */
  onAdded: (server: RealServer) => void = () => {};
  /** Told when a destination left its service (its connections may have to go). */
  onRemoved: (server: RealServer) => void = () => {};

  constructor(host: Host, env: SchedulerEnv) {
    this.host = host;
    this.env = env;
    this.daemons = new DaemonRegister(host);
  }

  // --- reading --------------------------------------------------------------------------------------------------------

  /** All services: newest first. */
  services(): VirtualService[] {
    return [...this.byKey.values()].reverse();
  }

  /** Destinations in the trash: removed, but kept for the connections that still refer to them. */
  trashed(): readonly RealServer[] {
    return this.trash;
  }

  /** No service at all. */
  get empty(): boolean {
    return this.byKey.size === 0;
  }

  /** Whether packets of this family are looked at. */
  serves(family: Family): boolean {
    return this.familyServices[family] > 0;
  }

  /** @throws TableError ESRCH */
  find(id: ServiceId): VirtualService {
    const service = this.byKey.get(serviceKey(id));
    if (!service) throw new TableError("ESRCH", `no virtual service ${serviceKey(id)}${this.hint(id)}`);
    return service;
  }

  /** A remedy for a missing service: the like of it that does exist. */
  private hint(id: ServiceId): string {
    if (id.kind === "fwmark" && this.byKey.has(serviceKey({ ...id, family: id.family === 4 ? 6 : 4 })))
      return id.family === 4 ? "; there is one for IPv6: add -6" : "; there is one for IPv4: leave -6 out";
    if (id.kind === "address") {
      for (const service of this.byKey.values()) {
        const other = service.id;
        if (other.kind !== "address" || other.address !== id.address) continue;
        return `; that address has ${other.protocol} port ${other.port}`;
      }
    }
    return this.byKey.size === 0 ? "; the table is empty" : "";
  }

  /** The destination by its register index. */
  server(index: number): RealServer | undefined {
    return index < 0 ? undefined : this.register[index];
  }

  /** The newest live NAT destination at this address and port that serves the protocol. */
  natServer(family: Family, address: Words, port: number, protocol: number): RealServer | undefined {
    const here = this.byAddress.get(fold(family, address));
    if (!here) return undefined;
    for (const d of here) {
      if (d.port !== port || d.method !== METHOD_NUMBER.nat || d.family !== family) continue;
      if (d.service.protocol !== protocol && d.service.fwmark === 0) continue;
      if (equalWords(d.words, address)) return d;
    }
    return undefined;
  }

  /** A live destination by address, newest first, that also passes the test. */
  serverAt(family: Family, address: Words, test: (server: RealServer) => boolean): RealServer | undefined {
    return this.byAddress
      .get(fold(family, address))
      ?.find((d) => d.family === family && equalWords(d.words, address) && test(d));
  }

  /**
   * The service that a packet belongs to: by mark, by exact address and port, as FTP data of a port-21 service, by address
   * with port 0.
   */
  lookup(
    family: Family,
    protocol: number,
    target: Int32Array,
    port: number,
    mark: number,
  ): VirtualService | undefined {
    if (mark !== 0 && this.marks.size !== 0) {
      const marked = this.marks.get(family === 6 ? -mark : mark);
      if (marked) return marked;
    }
    const exact = this.lookupAddress(family, protocol, target, port);
    if (exact) return exact;
    if (
      protocol === PROTOCOL_NUMBER.tcp &&
      this.ftpServices > 0 &&
      (port === 20 || port >= this.host.unprivilegedPortStart)
    ) {
      const ftp = this.lookupAddress(family, protocol, target, FTP_PORT);
      if (ftp) return ftp;
    }
    return this.anyPortServices > 0 ? this.lookupAddress(family, protocol, target, 0) : undefined;
  }

  private lookupAddress(
    family: Family,
    protocol: number,
    target: Int32Array,
    port: number,
  ): VirtualService | undefined {
    let s = this.buckets[this.bucket(protocol, target, port)];
    for (; s; s = s.next) {
      const w = s.words;
      if (s.port !== port || w[0] !== target[0] || s.protocol !== protocol || s.family !== family) continue;
      if (family === 4 || (w[1] === target[1] && w[2] === target[2] && w[3] === target[3])) return s;
    }
    return undefined;
  }

  private bucket(protocol: number, words: Int32Array, port: number): number {
    const h = Math.imul(
      words[0] ^ words[1] ^ words[2] ^ words[3] ^ Math.imul(port + (protocol << 16), 0x9e3779b1),
      0x85ebca6b,
    );
    return (h ^ (h >>> 15)) & (this.buckets.length - 1);
  }

  // --- services -------------------------------------------------------------------------------------------------------

  /** @throws TableError EEXIST, ENOENT, EINVAL */
  addService(spec: ServiceSpec): void {
    const key = serviceKey(spec.id);
    if (this.byKey.has(key))
      throw new TableError("EEXIST", `virtual service ${key} exists already; edit it with -E`);
    this.checkService(spec);
    const service = new VirtualService(spec);
    service.scheduler = this.makeScheduler(service, spec);
    this.byKey.set(key, service);
    this.familyServices[service.family]++;
    if (service.fwmark !== 0)
      this.marks.set(service.family === 6 ? -service.fwmark : service.fwmark, service);
    else this.link(service);
    if (service.fwmark === 0 && service.port === FTP_PORT) this.ftpServices++;
    if (service.fwmark === 0 && service.port === 0) this.anyPortServices++;
    this.changes++;
  }

  /** @throws TableError ESRCH, ENOENT, EINVAL */
  editService(spec: ServiceSpec): void {
    const service = this.find(spec.id);
    this.checkService(spec);
    // A scheduler starts anew only when it becomes another one.
    const same = service.spec.scheduler === spec.scheduler;
    const old = service.schedFlags;
    service.schedFlags = spec.schedFlags;
    try {
      service.apply(spec, same ? service.scheduler : this.makeScheduler(service, spec));
    } catch (error) {
      service.schedFlags = old;
      throw error;
    }
    this.changes++;
  }

  /** @throws TableError ESRCH */
  removeService(id: ServiceId): void {
    const service = this.find(id);
    for (const server of [...service.destinations]) this.detach(service, server);
    this.byKey.delete(service.key);
    this.familyServices[service.family]--;
    if (service.fwmark !== 0) this.marks.delete(service.family === 6 ? -service.fwmark : service.fwmark);
    else this.unlink(service);
    if (service.fwmark === 0 && service.port === FTP_PORT) this.ftpServices--;
    if (service.fwmark === 0 && service.port === 0) this.anyPortServices--;
    this.changes++;
  }

  /** Removes all services. */
  flush(): void {
    for (const service of this.services()) this.removeService(service.id);
  }

  private checkService(spec: ServiceSpec): void {
    if (spec.scheduler !== "none" && !schedulerByName(spec.scheduler))
      throw new TableError("ENOENT", `no scheduler "${spec.scheduler}"`);
    if (spec.engine !== "" && spec.engine !== "sip")
      throw new TableError("ENOENT", `no persistence engine "${spec.engine}"; there is "sip"`);
    if (spec.id.family === 6 && (spec.netmask < 1 || spec.netmask > 128))
      throw new TableError("EINVAL", `prefix length ${spec.netmask}: expects 1..128`);
    for (const local of spec.localAddresses ?? []) {
      const kind = this.host.addressKind(spec.id.family, toWords(local));
      if (kind !== "local" && kind !== "unicast")
        throw new TableError(
          "EINVAL",
          `local address ${local}: is ${kind}, expects an address of the director`,
        );
    }
  }

  private makeScheduler(service: VirtualService, spec: ServiceSpec): Scheduler<RealServer> | undefined {
    return schedulerByName(spec.scheduler)?.create(service, this.env);
  }

  private link(service: VirtualService): void {
    if (++this.addressCount > this.buckets.length) {
      const all = [...this.byKey.values()].filter((s) => s.fwmark === 0 && s !== service);
      this.buckets = new Array(this.buckets.length * 4).fill(undefined);
      for (const s of all) this.chain(s);
    }
    this.chain(service);
  }

  private chain(service: VirtualService): void {
    const slot = this.bucket(service.protocol, service.words, service.port);
    service.next = this.buckets[slot];
    this.buckets[slot] = service;
  }

  private unlink(service: VirtualService): void {
    const slot = this.bucket(service.protocol, service.words, service.port);
    let s = this.buckets[slot];
    if (s === service) this.buckets[slot] = service.next;
    else {
      while (s && s.next !== service) s = s.next;
      if (s) s.next = service.next;
    }
    service.next = undefined;
    this.addressCount--;
  }

  // --- destinations ---------------------------------------------------------------------------------------------------

  /** @throws TableError ESRCH, EINVAL, ERANGE, EEXIST */
  addDestination(id: ServiceId, spec: DestinationSpec): void {
    const service = this.find(id);
    this.checkDestination(service, spec);
    const key = destinationKey(spec);
    if (this.lookUp(service, spec))
      throw new TableError("EEXIST", `${key} is a destination of ${service.key} already; edit it with -e`);
    schedulerByName(service.spec.scheduler)?.check?.(service.destinations.length + 1);
    let server = this.takeFromTrash(service, spec);
    if (!server) this.checkAddress(spec);
    if (server) {
      if (server.service !== service) server.meter = new Meter();
      server.service = service;
      server.apply(spec);
      server.idleSince = undefined;
    } else {
      const index = this.vacant.pop() ?? this.register.length;
      server = new RealServer(index, service, spec);
      this.register[index] = server;
    }
    server.available = true;
    service.destinations.unshift(server);
    const same = this.byAddress.get(server.fold);
    if (same) same.unshift(server);
    else this.byAddress.set(server.fold, [server]);
    service.scheduler?.added?.(server);
    this.changes++;
    this.onAdded(server);
  }

  /** @throws TableError ESRCH, EINVAL, ERANGE, ENOENT */
  editDestination(id: ServiceId, spec: DestinationSpec): void {
    const service = this.find(id);
    this.checkDestination(service, spec);
    const server = this.destination(service, spec);
    server.apply(spec);
    service.scheduler?.edited?.(server);
    this.changes++;
  }

  /** @throws TableError ESRCH, ENOENT */
  removeDestination(id: ServiceId, which: DestinationId): void {
    const service = this.find(id);
    this.detach(service, this.destination(service, which));
    this.changes++;
  }

  private destination(service: VirtualService, id: DestinationId): RealServer {
    const server = this.lookUp(service, id);
    if (server) return server;
    const elsewhere = service.destinations.find((d) => d.spec.address === id.address);
    const hint = elsewhere ? `; that address is one with port ${elsewhere.port}` : "";
    throw new TableError("ENOENT", `${service.key} has no destination ${destinationKey(id)}${hint}`);
  }

  private lookUp(service: VirtualService, id: DestinationId): RealServer | undefined {
    const folded = foldOf(id);
    if (folded === undefined) return undefined;
    return this.byAddress
      .get(folded)
      ?.find(
        (d) =>
          d.service === service &&
          d.port === id.port &&
          d.family === id.family &&
          d.spec.address === id.address,
      );
  }

  private detach(service: VirtualService, server: RealServer): void {
    const index = service.destinations.indexOf(server);
    service.destinations.splice(index, 1);
    const same = this.byAddress.get(server.fold)!;
    same.splice(same.indexOf(server), 1);
    if (same.length === 0) this.byAddress.delete(server.fold);
    server.available = false;
    server.idleSince = undefined;
    service.scheduler?.removed?.(server, index);
    this.trash.push(server);
    this.onRemoved(server);
  }

  private takeFromTrash(service: VirtualService, spec: DestinationSpec): RealServer | undefined {
    const folded = foldOf(spec);
    const at = this.trash.findIndex(
      (d) =>
        d.fold === folded &&
        d.port === spec.port &&
        d.family === spec.family &&
        d.spec.address === spec.address &&
        // The same service, or one with the same identity made anew.
        d.service.key === service.key,
    );
    return at < 0 ? undefined : this.trash.splice(at, 1)[0];
  }

  /** Frees trashed destinations that nothing referred to for long enough. Call every {@link TRASH_SWEEP_MS}. */
  sweepTrash(now: number): void {
    const kept: RealServer[] = [];
    for (const server of this.trash) {
      if (server.referenced) server.idleSince = undefined;
      else server.idleSince ??= now;
      if (server.idleSince !== undefined && now - server.idleSince >= TRASH_KEEP_MS) {
        this.register[server.index] = undefined;
        this.vacant.push(server.index);
        this.changes++;
      } else kept.push(server);
    }
    this.trash = kept;
  }

  /** Frees one trashed destination at once; whoever calls knows that nothing refers to it. */
  release(server: RealServer): void {
    const at = this.trash.indexOf(server);
    if (at < 0) return;
    this.trash.splice(at, 1);
    this.register[server.index] = undefined;
    this.vacant.push(server.index);
    this.changes++;
  }

  private checkDestination(service: VirtualService, spec: DestinationSpec): void {
    const key = destinationKey(spec);
    if (spec.family !== service.family) {
      if (spec.method !== "tun")
        throw new TableError("EINVAL", `${key}: another family than its service needs tunneling (-i)`);
      if (this.daemons.running)
        throw new TableError("EINVAL", `${key}: another family than its service excludes sync daemons`);
    }
    if (spec.weight < 0 || spec.weight > MAX_WEIGHT)
      throw new TableError("ERANGE", `${key}: weight ${spec.weight}, expects 0..${MAX_WEIGHT}`);
    if (spec.upper > MAX_THRESHOLD)
      throw new TableError("EINVAL", `${key}: upper threshold ${spec.upper}, expects 0..${MAX_THRESHOLD}`);
    if (spec.lower > spec.upper)
      throw new TableError(
        "ERANGE",
        `${key}: lower threshold ${spec.lower} exceeds the upper one, ${spec.upper}`,
      );
    if (spec.method === "tun" && spec.tunnel.type === "gue" && spec.tunnel.port === 0)
      throw new TableError("EINVAL", `${key}: a GUE tunnel needs a port`);
  }

  private checkAddress(spec: DestinationSpec): void {
    const kind = this.host.addressKind(spec.family, toWords(spec.address));
    if (kind !== "local" && kind !== "unicast")
      throw new TableError(
        "EINVAL",
        `real server address ${spec.address}: is ${kind}, expects unicast or an own address`,
      );
  }

  // --- counters -------------------------------------------------------------------------------------------------------

  /** Zeroes the counters of one service and its destinations, or of everything. @throws TableError ESRCH */
  zero(id?: ServiceId): void {
    // compat: the all-zero service stands for "everything" (`ipvsadm -Z -t 0.0.0.0:0`).
    const everything =
      !id || (id.kind === "address" && id.family === 4 && id.address === "0.0.0.0" && id.port === 0);
    for (const service of everything ? this.services() : [this.find(id)]) {
      service.meter.zero();
      for (const server of service.destinations) server.meter.zero();
    }
    if (everything) this.total.zero();
  }

  /** Takes the snapshots that readers see; every 2 s. */
  estimate(): void {
    this.total.estimate();
    for (const service of this.byKey.values()) {
      service.meter.estimate();
      for (const server of service.destinations) server.meter.estimate();
    }
  }

  /** Whether some destination has another family than its service. */
  get mixedFamilies(): boolean {
    return this.services().some((s) => s.destinations.some((d) => d.family !== s.family));
  }
}

/** A spec with the defaults of `ipvsadm -A`, for programs. */
export const serviceSpec = (id: ServiceId, change: Partial<ServiceSpec> = {}): ServiceSpec => ({
  id,
  scheduler: "wlc",
  schedFlags: 0,
  persistent: false,
  timeoutS: 0,
  netmask: fullMask(id.family),
  engine: "",
  onePacket: false,
  ...change,
});

/** The folded address of a destination, by which it is found; undefined for what is no address. */
const foldOf = ({ family, address }: DestinationId): number | undefined =>
  parseAddress(address) === undefined ? undefined : fold(family, toWords(address));
