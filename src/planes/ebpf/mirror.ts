/**
 * Rules → maps. Every change leaves the maps so that a packet at any moment finds either the old state or the new one; a change
 * that was cut short is mended by {@link Mirror.everything}, which may be called at any time.
 * @module
 */
import { METHOD_NUMBER } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
import { greatestCommonDivisor } from "../../core/schedulers/divisor.ts";
import { type RealServer, TUNNEL_NUMBER } from "../../core/server.ts";
import { SCHED_FLAG } from "../../core/service.ts";
import type { VirtualService } from "../../core/virtual.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { writeConfig } from "./config.ts";
import { putAddress, putMask } from "./encode.ts";
import { hashTableOf, type TableWriter } from "./hash-tables.ts";
import {
  DEST,
  DEST_FLAG,
  DEST_STATS,
  ESTIMATE,
  LIMIT,
  LOAD,
  SCHEDULER,
  SERVICE,
  SERVICE_FLAG,
  SERVICE_KEY,
  SERVICE_STATE,
  TUNNEL_FLAG,
} from "./layout.ts";
import { forgetMember } from "./locality.ts";
import type { Maps } from "./maps.ts";
import { Runs } from "./order.ts";
import { type Heritage, isSip, type Rules } from "./rules.ts";
import { ServerIndex } from "./servers.ts";

const MARK_FAMILY = 0x80;
const ERA_MASK = 0xffff;
/** Schedulers that remember what they chose for an address. */
const REMEMBERING: readonly string[] = ["lblc", "lblcr"];
/** What happened to a service, as far as its scheduler has to know: a destination came or went, or is weighed anew. */
type Change = { readonly at: number; readonly by: 1 | -1 } | "weights" | "settings" | "scheduler";

/** The way to a real server, as the routing tables have it. */
export interface ServerRoute {
  /** The source address that routing prefers. */
  readonly source: Uint8Array;
  /** The address is one of this host's own. */
  readonly local: boolean;
}

/** Asks for the way to a real server; undefined when there is none. */
export type RouteTo = (server: RealServer) => ServerRoute | undefined;

/** Writes one namespace's maps. Call everything with the namespace's lock held. */
export class Mirror {
  readonly #maps: Maps;
  readonly #rules: Rules;
  readonly #routeTo: RouteTo;
  readonly #tables: TableWriter;
  readonly #servers: ServerIndex;
  readonly #order: Runs;
  readonly #locals: Runs;
  /** See {@link #onThisHost}; looked for when it is first needed. */
  #found: Set<number> | undefined;
  /** Keys in `services` by service number, as they were found or written. */
  readonly #keys = new Map<number, Uint8Array>();

  constructor(maps: Maps, rules: Rules, routeTo: RouteTo, tables: TableWriter) {
    this.#maps = maps;
    this.#rules = rules;
    this.#routeTo = routeTo;
    this.#tables = tables;
    this.#servers = new ServerIndex(maps, rules);
    // Anywhere: where a killed or former command wrote last is not known, and should not be written again at once.
    const start = Math.floor(performance.timeOrigin * 1000 + performance.now() * 1000);
    this.#order = new Runs(LIMIT.order, start % LIMIT.order);
    this.#locals = new Runs(maps.map("locals").info.maxEntries);
    this.#readServices();
  }

  #readServices(): void {
    for (const { count, keys, values } of this.#maps.map("services").batches()) {
      const v = new DataView(values.buffer);
      for (let i = 0; i < count; i++) {
        const word = (field: keyof typeof SERVICE.at): number =>
          v.getUint32(i * SERVICE.size + SERVICE.at[field], LITTLE_ENDIAN);
        const id = word("id");
        this.#order.set(id, { at: word("order_at"), count: word("order_count") });
        this.#locals.set(id, { at: word("local_at"), count: word("local_count") });
        this.#keys.set(id, keys.slice(i * SERVICE_KEY.size, (i + 1) * SERVICE_KEY.size));
      }
    }
  }

  // --- services -------------------------------------------------------------------------------------------------------

  /** A service was added: its number may have been another's before. */
  serviceAdded(service: VirtualService): void {
    const id = this.#rules.serviceNumber(service);
    this.#clearService(id);
    this.#tables.write(id, hashTableOf(this.#rules, service));
    this.#putService(service, "scheduler");
    this.config();
  }

  #clearService(id: number): void {
    const state = this.#maps.array("service_state");
    const at = id * SERVICE_STATE.size;
    const era = state.view.getUint32(at + SERVICE_STATE.at.era, LITTLE_ENDIAN);
    const stats = this.#maps.map("service_stats");
    stats.updateIndex(id, new Uint8Array(stats.valueSize));
    clear(this.#maps.array("service_estimates").bytes, id, ESTIMATE.size);
    clear(state.bytes, id, SERVICE_STATE.size);
    state.view.setInt32(at + SERVICE_STATE.at.position, -1, LITTLE_ENDIAN);
    state.view.setUint32(at + SERVICE_STATE.at.era, (era + 1) & ERA_MASK, LITTLE_ENDIAN);
  }

  /** A service was edited, or something about its destinations: `was` is the scheduler that it had. */
  serviceEdited(service: VirtualService, was: string): void {
    const id = this.#rules.serviceNumber(service);
    this.#tables.write(id, hashTableOf(this.#rules, service));
    this.#putService(service, was === service.spec.scheduler ? "settings" : "scheduler");
    this.config();
  }

  /** A service was removed, with all its destinations. */
  serviceRemoved(id: number, servers: readonly RealServer[]): void {
    const key = this.#keys.get(id);
    if (key) this.#maps.map("services").delete(key);
    this.config();
    for (const server of servers) this.#writeDestination(server);
    this.#forgetService(id);
  }

  /** Nothing in the maps is a service's any more that has this number. */
  #forgetService(id: number): void {
    this.#keys.delete(id);
    this.#order.delete(id);
    this.#locals.delete(id);
    this.#tables.write(id, undefined);
    this.#maps.map("sip_services").deleteIndex(id);
  }

  // --- destinations ---------------------------------------------------------------------------------------------------

  /** A destination was added at the head of its service's list, with what it had when it was removed. */
  destinationAdded(server: RealServer, heritage: Heritage): void {
    const id = this.#rules.destinationNumber(server);
    if (heritage === "nothing") this.#clearDestination(id);
    else if (heritage === "connections") this.#clearCounters(id);
    this.#writeDestination(server);
    const service = server.service;
    this.#tables.write(this.#rules.serviceNumber(service), hashTableOf(this.#rules, service));
    this.#putService(service, { at: 0, by: 1 });
    this.config();
  }

  /** A destination was removed from the place `index` of its service's list. */
  destinationRemoved(server: RealServer, index: number): void {
    const service = server.service;
    this.#tables.write(this.#rules.serviceNumber(service), hashTableOf(this.#rules, service));
    this.#putService(service, { at: index, by: -1 });
    this.#writeDestination(server);
    this.config();
  }

  destinationEdited(server: RealServer): void {
    this.#writeDestination(server);
    const service = server.service;
    this.#tables.write(this.#rules.serviceNumber(service), hashTableOf(this.#rules, service));
    this.#putService(service, "weights");
    this.config();
  }

  /** A destination's number became free. */
  destinationFreed(id: number): void {
    // Also what is counted: whoever gets the number may be killed before it clears that.
    this.#clearDestination(id);
    this.#onThisHost.delete(id);
    if (this.#rules.table.services().some(({ spec }) => REMEMBERING.includes(spec.scheduler)))
      forgetMember(this.#maps, id);
    this.config();
  }

  #clearCounters(id: number): void {
    const stats = this.#maps.map("dest_stats");
    stats.updateIndex(id, new Uint8Array(stats.valueSize));
    clear(this.#maps.array("dest_estimates").bytes, id, ESTIMATE.size);
  }

  #clearDestination(id: number): void {
    this.#clearCounters(id);
    clear(this.#maps.array("dests").bytes, id, DEST.size);
    clear(this.#maps.array("loads").bytes, id, LOAD.size);
  }

  /** Every word that user space has a say in; BPF's stay. */
  #writeDestination(server: RealServer): void {
    const id = this.#rules.destinationNumber(server);
    const { bytes, view } = this.#maps.array("dests");
    const at = id * DEST.size;
    const { spec } = server;
    putAddress(bytes, at + DEST.at.address, spec.address);
    view.setUint16(at + DEST.at.port, server.port);
    view.setUint16(at + DEST.at.tunnel_port, spec.tunnel.port);
    bytes[at + DEST.at.family] = server.family;
    bytes[at + DEST.at.method] = METHOD_NUMBER[spec.method];
    bytes[at + DEST.at.tunnel] = TUNNEL_NUMBER[spec.tunnel.type];
    const { checksum } = spec.tunnel;
    bytes[at + DEST.at.tunnel_flags] =
      checksum === "csum" ? TUNNEL_FLAG.csum : checksum === "remcsum" ? TUNNEL_FLAG.remcsum : 0;
    const word = (field: keyof typeof DEST.at, value: number): void =>
      view.setUint32(at + DEST.at[field], value, LITTLE_ENDIAN);
    word("upper", spec.upper);
    word("lower", server.lower);
    word("service", server.available ? this.#rules.serviceNumber(server.service) : 0);
    this.#writeRoute(id, server);
    this.#writeLoad(id, server);
    this.#forgetHop(id);
    this.#servers.update(server);
  }

  /** What depends on the routing tables, and whether it is a destination at all. */
  #writeRoute(id: number, server: RealServer): void {
    const { bytes, view } = this.#maps.array("dests");
    const at = id * DEST.size;
    const route = this.#routeTo(server);
    const source = new Uint8Array(16);
    if (route) source.set(route.source);
    bytes.set(source, at + DEST.at.source);
    const flags = (server.available ? DEST_FLAG.available : 0) | (route?.local ? DEST_FLAG.local : 0);
    view.setUint32(at + DEST.at.flags, flags, LITTLE_ENDIAN);
    if (route?.local) this.#onThisHost.add(id);
    else this.#onThisHost.delete(id);
  }

  /** Routes and addresses may have changed since the destinations were written. */
  routes(): void {
    for (const [server, id] of this.#rules.destinations()) this.#writeRoute(id, server);
  }

  /** Whether some destination is this host itself: then the replies of local servers have to be looked at. */
  get hasLocal(): boolean {
    return this.#onThisHost.size > 0;
  }

  /** Destinations that are this host itself. */
  get #onThisHost(): Set<number> {
    if (this.#found) return this.#found;
    this.#found = new Set();
    const { view } = this.#maps.array("dests");
    for (let id = 1; id < this.#rules.ends.destinations; id++) {
      if (view.getUint32(id * DEST.size + DEST.at.flags, LITTLE_ENDIAN) & DEST_FLAG.local)
        this.#found.add(id);
    }
    return this.#found;
  }

  #writeLoad(id: number, server: RealServer): void {
    const { view } = this.#maps.array("loads");
    const at = id * LOAD.size;
    const word = (field: keyof typeof LOAD.at): number => view.getUint32(at + LOAD.at[field], LITTLE_ENDIAN);
    view.setUint32(at + LOAD.at.weight, server.spec.weight, LITTLE_ENDIAN);
    // As RealServer.apply: between the two thresholds nothing changes.
    const total = word("active") + word("inactive");
    const { upper } = server.spec;
    if (upper === 0 || total < server.lower) view.setUint32(at + LOAD.at.overloaded, 0, LITTLE_ENDIAN);
    else if (total >= upper) view.setUint32(at + LOAD.at.overloaded, 1, LITTLE_ENDIAN);
  }

  /** The next hop that BPF remembers may not be the one of the new settings. */
  #forgetHop(id: number): void {
    const stats = this.#maps.map("dest_stats");
    const value = stats.lookupIndex(id)?.slice();
    if (!value) return;
    const v = new DataView(value.buffer);
    const each = Math.ceil(DEST_STATS.size / 8) * 8;
    let known = false;
    for (let at = 0; at < value.length; at += each) {
      if (v.getBigUint64(at + DEST_STATS.at.hop_until, LITTLE_ENDIAN) === 0n) continue;
      v.setBigUint64(at + DEST_STATS.at.hop_until, 0n, LITTLE_ENDIAN);
      known = true;
    }
    // Packets counted between the two calls are lost: only done when there is something to forget.
    if (known) stats.updateIndex(id, value);
  }

  // --- the service as a whole -----------------------------------------------------------------------------------------

  /** Writes list, position and service, in this order; one update of `services` makes all of it count. */
  #putService(service: VirtualService, change: Change): void {
    const id = this.#rules.serviceNumber(service);
    const run = this.#writeOrder(id, service);
    const locals = this.#writeLocals(id, service);
    const value = this.#encode(service, run, locals);
    this.#adjust(id, service, value, change);
    const key = encodeKey(service);
    this.#maps.map("services").update(key, value);
    this.#maps
      .array("service_state")
      .view.setUint32(
        id * SERVICE_STATE.size + SERVICE_STATE.at.flags,
        new DataView(value.buffer).getUint32(SERVICE.at.flags, LITTLE_ENDIAN),
        LITTLE_ENDIAN,
      );
    if (isSip(service)) this.#maps.map("sip_services").updateIndex(id, key);
    else this.#maps.map("sip_services").deleteIndex(id);
    this.#keys.set(id, key);
    this.#order.set(id, run);
    this.#locals.set(id, locals);
  }

  #writeOrder(id: number, service: VirtualService): { at: number; count: number } {
    const numbers = service.destinations.map((d) => this.#rules.destinationNumber(d));
    const { view } = this.#maps.array("order");
    const old = this.#order.get(id) ?? { at: 0, count: 0 };
    const same =
      old.count === numbers.length &&
      numbers.every((n, i) => view.getUint16(2 * (old.at + i), LITTLE_ENDIAN) === n);
    if (same) return old;
    const run = this.#order.find(numbers.length);
    if (!run) throw new TableError("ENOMEM", `${service.key}: the lists of real servers have no room left`);
    for (const [i, n] of numbers.entries()) view.setUint16(2 * (run.at + i), n, LITTLE_ENDIAN);
    return run;
  }

  #writeLocals(id: number, service: VirtualService): { at: number; count: number } {
    const wanted = service.spec.localAddresses ?? [];
    if (wanted.length === 0) return { at: 0, count: 0 };
    const { bytes } = this.#maps.array("locals");
    const old = this.#locals.get(id);
    const encoded = new Uint8Array(16 * wanted.length);
    for (const [i, address] of wanted.entries()) putAddress(encoded, 16 * i, address);
    if (
      old?.count === wanted.length &&
      Buffer.compare(bytes.subarray(16 * old.at, 16 * (old.at + old.count)), encoded) === 0
    )
      return old;
    const run = this.#locals.find(wanted.length);
    if (!run) throw new TableError("ENOMEM", `${service.key}: too many local addresses`);
    bytes.set(encoded, 16 * run.at);
    return run;
  }

  #encode(
    service: VirtualService,
    run: { at: number; count: number },
    locals: { at: number; count: number },
  ): Uint8Array {
    const { spec } = service;
    const value = new Uint8Array(SERVICE.size);
    const v = new DataView(value.buffer);
    const word = (field: keyof typeof SERVICE.at, n: number): void =>
      v.setUint32(SERVICE.at[field], n, LITTLE_ENDIAN);
    word("id", this.#rules.serviceNumber(service));
    word("scheduler", SCHEDULER[spec.scheduler as keyof typeof SCHEDULER]);
    word(
      "flags",
      (spec.persistent ? SERVICE_FLAG.persistent : 0) |
        (spec.onePacket ? SERVICE_FLAG.onePacket : 0) |
        (isSip(service) ? SERVICE_FLAG.sip : 0) |
        (spec.schedFlags & SCHED_FLAG.fallback ? SERVICE_FLAG.schedFallback : 0) |
        (spec.schedFlags & SCHED_FLAG.port ? SERVICE_FLAG.schedPort : 0),
    );
    word("timeout_ms", Math.min(spec.timeoutS * 1000, 0xffffffff));
    putMask(value, SERVICE.at.mask, service.family, spec.netmask);
    word("order_at", run.at);
    word("order_count", run.count);
    const { step, top } = wrrOf(service);
    word("wrr_step", step);
    word("wrr_top", top);
    word("fwmark", service.fwmark);
    v.setUint16(SERVICE.at.port, service.port);
    value[SERVICE.at.protocol] = service.protocol;
    value[SERVICE.at.family] = service.family;
    word("local_at", locals.at);
    word("local_count", locals.count);
    return value;
  }

  /** Places and levels that scheduling goes on from, as core's schedulers move them. */
  #adjust(id: number, service: VirtualService, value: Uint8Array, change: Change): void {
    if (change === "settings") return;
    const { view } = this.#maps.array("service_state");
    const at = id * SERVICE_STATE.size;
    const get = (field: keyof typeof SERVICE_STATE.at): number =>
      view.getInt32(at + SERVICE_STATE.at[field], LITTLE_ENDIAN);
    const put = (field: keyof typeof SERVICE_STATE.at, n: number): void =>
      view.setInt32(at + SERVICE_STATE.at[field], n, LITTLE_ENDIAN);
    const anew = change === "scheduler";
    if (anew) put("era", (get("era") + 1) & ERA_MASK);
    const scheduler = SCHEDULER[service.spec.scheduler as keyof typeof SCHEDULER];
    if (scheduler === SCHEDULER.wrr) {
      const v = new DataView(value.buffer);
      const step = v.getUint32(SERVICE.at.wrr_step, LITTLE_ENDIAN);
      const top = v.getUint32(SERVICE.at.wrr_top, LITTLE_ENDIAN);
      const level = get("level") >>> 0;
      put("position", -1);
      if (anew || level > top || level === 0) put("level", top);
      else if (step > 1) put("level", Math.floor(level / step) * step + 1);
      return;
    }
    if (anew) put("position", -1);
    else if (typeof change === "object" && scheduler === SCHEDULER.rr) {
      const position = get("position");
      if (change.at <= position) put("position", position + change.by);
    }
  }

  /** The counts and settings that every packet looks at first. */
  config(): void {
    writeConfig(this.#maps, this.#rules);
  }

  /** Writes everything that differs, and removes what should not be there. */
  everything(): void {
    const { table } = this.#rules;
    for (const [server] of this.#rules.destinations()) this.#writeDestination(server);
    this.#servers.prune();
    const wanted = new Set<number>();
    for (const service of table.services()) {
      const id = this.#rules.serviceNumber(service);
      wanted.add(id);
      const key = encodeKey(service);
      const there = this.#keys.get(id);
      if (there && Buffer.compare(there, key) !== 0) {
        // The number is another service's now.
        this.#maps.map("services").delete(there);
        this.#keys.delete(id);
        this.#order.delete(id);
        this.#locals.delete(id);
      }
      if (!this.#keys.has(id)) this.#clearService(id);
      this.#tables.write(id, hashTableOf(this.#rules, service));
      this.#putService(service, "weights");
    }
    for (const [id, key] of [...this.#keys]) {
      if (wanted.has(id)) continue;
      this.#maps.map("services").delete(key);
      this.#forgetService(id);
    }
    this.config();
  }
}

const clear = (bytes: Uint8Array, index: number, size: number): void =>
  void bytes.fill(0, index * size, (index + 1) * size);

/** Greatest common divisor and highest level, as core's wrr measures them. */
function wrrOf(service: VirtualService): { step: number; top: number } {
  let divisor = 0;
  let heaviest = 0;
  for (const { weight } of service.destinations) {
    if (weight > 0) divisor = greatestCommonDivisor(weight, divisor);
    heaviest = Math.max(heaviest, weight);
  }
  const step = divisor || 1;
  return { step, top: Math.max(0, heaviest - (step - 1)) };
}

/** The key of a service in `services`. */
export function encodeKey(service: VirtualService): Uint8Array {
  const key = new Uint8Array(SERVICE_KEY.size);
  const v = new DataView(key.buffer);
  const { id } = service;
  if (id.kind === "fwmark") {
    v.setUint32(SERVICE_KEY.at.address, id.fwmark, LITTLE_ENDIAN);
    key[SERVICE_KEY.at.family] = service.family | MARK_FAMILY;
    return key;
  }
  putAddress(key, SERVICE_KEY.at.address, id.address);
  v.setUint16(SERVICE_KEY.at.port, id.port);
  key[SERVICE_KEY.at.protocol] = service.protocol;
  key[SERVICE_KEY.at.family] = service.family;
  return key;
}
