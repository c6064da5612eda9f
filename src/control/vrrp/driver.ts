/**
 * Runs the state machines on a host: packets, interfaces, track results and time go in as events, actions come out and are carried out.
 * @module
 */
import { AddressKeeper } from "./address-keeper.ts";
import { AnnounceQueue } from "./announcing.ts";
import { type Cluster, type ClusterEvent, due, EMPTY, nextTimeout, reconfigure, steps } from "./cluster.ts";
import { Composer } from "./compose.ts";
import { Counters } from "./counters.ts";
import { fitted } from "./fit.ts";
import type { AddressToSet, HostInterface, Listening, VrrpHost } from "./host.ts";
import type { Action, Instance } from "./instance.ts";
import { LinkBelief } from "./link-belief.ts";
import type { TrackResult, VrrpEvent, VrrpHappening, VrrpStats, VrrpStatus } from "./messages.ts";
import { judge, type Packet, routerIdOf } from "./receive.ts";
import { sourceOf } from "./source.ts";
import { NO_VRRP, type VirtualAddressSpec, type VrrpInstanceSpec, type VrrpSpec } from "./spec.ts";
import { conditions, type Facts } from "./tracking.ts";
import { virtualMac, vmacName } from "./vmac.ts";

const VRRP = 112;
const AH = 51;
/** The same complaint about the same sender comes again after this. */
const REPEAT_COMPLAINT_MS = 60_000;
/** Static addresses are kept under this name, which no instance can have. */
const STATIC = " static";
const OWNER = 255;
const ETHERNET_MTU = 1500;

/** Everything of one host. */
export class VrrpDriver {
  readonly #host: VrrpHost;
  readonly #onEvent: (event: VrrpEvent) => void;
  readonly #addresses: AddressKeeper;
  readonly #queue = new AnnounceQueue();
  readonly #links = new LinkBelief();
  readonly #counters = new Counters();
  readonly #composers = new Map<string, Composer>();
  /** Instance → sender → AH sequence number. */
  readonly #sequences = new Map<string, Map<string, number>>();
  readonly #complained = new Map<string, number>();
  readonly #scripts = new Map<string, boolean>();
  readonly #files = new Map<string, number>();
  readonly #processes = new Map<string, boolean>();
  readonly #sources = new Map<string, string>();
  readonly #since = new Map<string, number>();
  readonly #vmacs = new Map<string, { readonly name: string; readonly over: string; readonly mac: string }>();
  #spec: VrrpSpec = NO_VRRP;
  #cluster: Cluster = EMPTY;
  /** During a reload: the former instances, of which some still have to say good-bye. */
  #leaving: Cluster = EMPTY;
  #startAt = Number.POSITIVE_INFINITY;
  #fresh: string[] = [];
  #keep = false;
  #worstLateMs = 0;
  realtimePriority = 0;

  constructor(host: VrrpHost, onEvent: (event: VrrpEvent) => void) {
    this.#host = host;
    this.#onEvent = onEvent;
    this.#addresses = new AddressKeeper(host, (owner, level, address, text) =>
      this.#tell(level, owner === STATIC ? text : `(${owner}) ${text}`, {
        kind: "address",
        instance: owner,
        address,
      }),
    );
  }

  /** Takes a specification over; what is wrong with it, and then nothing was changed. */
  configure(wanted: VrrpSpec): string[] {
    const spec = this.#fitted(wanted);
    const problems = this.#makeVirtualInterfaces(spec);
    if (problems.length > 0) return problems;
    const first = this.#spec === NO_VRRP;
    const now = this.#host.now();
    this.#worstLateMs = 0;
    this.#spec = spec;
    this.#links.configure(spec.linkDelays);
    for (const i of spec.instances)
      if (i.promoteSecondaries && i.family === 4) this.#host.promoteSecondaries(i.interface);
    const former = this.#cluster;
    const { cluster, actions, fresh } = reconfigure(former, spec, now);
    this.#cluster = cluster;
    for (const [name, composer] of this.#composers)
      composer.spec = cluster.instances.get(name)?.spec ?? composer.spec;
    this.#leaving = former;
    this.#perform(actions);
    this.#leaving = EMPTY;
    for (const name of this.#composers.keys()) if (!cluster.instances.has(name)) this.#composers.delete(name);
    this.#removeVirtualInterfaces();
    for (const name of fresh) {
      const { spec } = cluster.instances.get(name)!;
      this.#addresses.adopt(name, this.#wanted(spec));
      this.#since.set(name, this.#host.wallClock());
      this.#counters.of(name);
    }
    this.#addresses.adopt(
      STATIC,
      spec.staticAddresses.map((a) => addressToSet(a, a.device)),
    );
    this.#addresses.take(
      STATIC,
      spec.staticAddresses.map((a) => addressToSet(a, a.device)),
    );
    this.#host.removeRoutes(STATIC);
    if (spec.staticRoutes.length + spec.staticRules.length > 0)
      this.#host.addRoutes(STATIC, spec.staticRoutes, spec.staticRules);
    this.#fresh = [...this.#fresh, ...fresh].filter((name) => cluster.instances.has(name));
    if (first) this.#startAt = now + spec.startupDelayMs;
    this.#lookAtInterfaces();
    this.#startFresh();
    this.#schedule();
    return [];
  }

  /** A script, file or process has another result. */
  track(result: TrackResult): void {
    if (result.item === "file") this.#files.set(result.name, result.value);
    else (result.item === "script" ? this.#scripts : this.#processes).set(result.name, result.value !== 0);
    this.#applyFacts();
    this.#schedule();
  }

  /** Interfaces, addresses, routes or rules changed. `lostRoutes`: owners whose routes or rules somebody removed. */
  changed(lostRoutes: readonly string[] = []): void {
    const interfaces = this.#lookAtInterfaces();
    const events: ClusterEvent[] = [];
    for (const i of this.#cluster.instances.values()) {
      if (i.state !== "master") continue;
      const tracked = new Set(
        [...i.spec.addresses, ...i.spec.excluded].filter((a) => !a.noTrack).map((a) => a.address),
      );
      const gone = this.#addresses.missing(i.spec.name, tracked, interfaces);
      if (gone) events.push({ kind: "lost", instance: i.spec.name, what: gone });
      else if (lostRoutes.includes(i.spec.name))
        events.push({ kind: "lost", instance: i.spec.name, what: "a virtual route or rule" });
    }
    this.#dispatch(events);
    this.#schedule();
  }

  /** Something was received: takes it all. */
  readable(): void {
    for (let got = this.#host.receive(); got; got = this.#host.receive())
      this.#received(got.interface, got.packet);
    this.#schedule();
  }

  /** The time asked for by `wakeIn` has come. Packets that wait come first: who slept must hear before it speaks. */
  wake(): void {
    for (let got = this.#host.receive(); got; got = this.#host.receive())
      this.#received(got.interface, got.packet);
    const now = this.#host.now();
    this.#startFresh();
    if (this.#links.nextAt() <= now) this.#lookAtInterfaces();
    const names = due(this.#cluster, now);
    for (const name of names) {
      const { state, dueAt } = this.#cluster.instances.get(name)!;
      if (state === "master" && dueAt <= now) this.#worstLateMs = Math.max(this.#worstLateMs, now - dueAt);
    }
    this.#dispatch(names.map((instance) => ({ kind: "timeout", instance }) as const));
    this.#announce();
    this.#schedule();
  }

  /** Ends everything. With `keep`, addresses, routes and rules stay on the host. */
  stop(keep: boolean): void {
    this.#keep = keep;
    this.#dispatch(
      [...this.#cluster.instances.keys()].map(
        (instance) => ({ kind: "stop", instance, reason: "stopping" }) as const,
      ),
    );
    this.#cluster = EMPTY;
    this.#spec = NO_VRRP;
    this.#fresh = [];
    this.#host.listen([]);
    this.#host.refusePackets([]);
    if (keep) return;
    this.#addresses.release(STATIC);
    this.#host.removeRoutes(STATIC);
    this.#removeVirtualInterfaces();
  }

  /** Whether anything is master. */
  get masters(): boolean {
    return [...this.#cluster.instances.values()].some((i) => i.state === "master");
  }

  status(): VrrpStatus {
    const instances = [...this.#cluster.instances.values()].map((i) => {
      const { spec } = i;
      const source = this.#sources.get(spec.name);
      const group = this.#cluster.groupOf.get(spec.name);
      const master = i.state === "master" ? { address: source, priority: i.priority } : i.master;
      return {
        name: spec.name,
        ...(group !== undefined && { group }),
        state: i.state,
        sinceMs: this.#since.get(spec.name) ?? 0,
        reason: i.reason,
        interface: spec.interface,
        family: spec.family,
        version: spec.version,
        routerId: spec.routerId,
        basePriority: spec.priority,
        priority: i.priority,
        ...(source !== undefined && { source }),
        ...(master?.address !== undefined && { master: master.address, masterPriority: master.priority }),
        advertIntMs: i.intervalMs,
        addresses: spec.addresses.map((a) => `${a.address}/${a.prefix}`),
        excluded: spec.excluded.map((a) => `${a.address}/${a.prefix}`),
        faults: i.conditions.faults,
        waitingFor: i.conditions.waiting,
      };
    });
    const groups = [...this.#cluster.groups.values()].map((g) => ({
      name: g.spec.name,
      state: g.state,
      members: g.spec.members,
    }));
    return { instances, groups, realtimePriority: this.realtimePriority, worstLateMs: this.#worstLateMs };
  }

  stats(clear = false): VrrpStats[] {
    return this.#counters.read([...this.#cluster.instances.keys()], clear);
  }

  /** What does not fit into an advert is set, but not told. */
  #fitted(wanted: VrrpSpec): VrrpSpec {
    const interfaces = this.#host.interfaces();
    const instances = wanted.instances.map((i) => {
      const fits = fitted(i, interfaces.get(i.interface)?.mtu ?? ETHERNET_MTU);
      const surplus = i.addresses.length - fits.addresses.length;
      if (surplus > 0)
        this.#tell(
          "warning",
          `(${i.name}) ${surplus} addresses do not fit into an advert: treated as excluded`,
          { kind: "log" },
        );
      return fits;
    });
    return { ...wanted, instances };
  }

  #tell(level: VrrpEvent["level"], text: string, happening: VrrpHappening): void {
    this.#onEvent({ atMs: this.#host.wallClock(), level, text, ...happening });
  }

  #startFresh(): void {
    if (this.#fresh.length === 0 || this.#host.now() < this.#startAt) return;
    const names = this.#fresh;
    this.#fresh = [];
    this.#applyFacts();
    this.#dispatch(names.map((instance) => ({ kind: "start", instance }) as const));
  }

  /** Reads interfaces, finds source addresses, makes sockets, and lets every instance know. */
  #lookAtInterfaces(): ReadonlyMap<string, HostInterface> {
    const interfaces = this.#host.interfaces();
    this.#links.see(interfaces, this.#host.now());
    const ours = new Set(
      this.#spec.instances.flatMap((i) => [...i.addresses, ...i.excluded].map((a) => a.address)),
    );
    this.#sources.clear();
    for (const spec of this.#spec.instances) {
      const source = sourceOf(spec, interfaces, ours, (peer) => this.#host.sourceTowards(peer));
      if (source !== undefined) this.#sources.set(spec.name, source);
    }
    this.#host.listen(listenings(this.#spec.instances));
    this.#applyFacts();
    return interfaces;
  }

  #facts(): Facts {
    const sourceless = new Map<string, string>();
    for (const spec of this.#spec.instances) {
      if (this.#sources.has(spec.name)) continue;
      const what = spec.sourceAddress
        ? `source address ${spec.sourceAddress} is not on this host`
        : `no ${spec.family === 4 ? "IPv4" : "link-local IPv6"} address for interface ${spec.interface}`;
      sourceless.set(spec.name, what);
    }
    return {
      links: this.#links.states,
      scripts: this.#scripts,
      processes: this.#processes,
      files: this.#files,
      sourceless,
    };
  }

  #applyFacts(): void {
    const facts = this.#facts();
    const started = [...this.#cluster.instances.values()].filter((i) => !this.#fresh.includes(i.spec.name));
    const events = started.map(
      (i) =>
        ({ kind: "conditions", instance: i.spec.name, conditions: this.#conditionsOf(i, facts) }) as const,
    );
    if (this.#fresh.length > 0) {
      // Not started yet: they only remember.
      const instances = new Map(this.#cluster.instances);
      for (const name of this.#fresh) {
        const i = instances.get(name)!;
        const c = this.#conditionsOf(i, facts);
        instances.set(name, { ...i, conditions: c, priority: c.priority });
      }
      this.#cluster = { ...this.#cluster, instances };
    }
    this.#dispatch(events);
  }

  #conditionsOf(i: Instance, facts: Facts) {
    const group = this.#cluster.groupOf.get(i.spec.name);
    return conditions(i.spec, group === undefined ? undefined : this.#cluster.groups.get(group)?.spec, facts);
  }

  #received(on: string, packet: Packet): void {
    const id = routerIdOf(packet);
    const candidates = this.#spec.instances.filter(
      (s) => s.family === packet.family && s.routerId === id && (s.interface === on || s.interface === ""),
    );
    const spec = candidates.find((s) => s.peers.some((p) => p.address === packet.src)) ?? candidates[0];
    if (spec === undefined) {
      if (this.#spec.logUnknownIds && id !== undefined)
        this.#complain(
          `unknown ${on} ${packet.src} ${id}`,
          "",
          packet.src,
          `VRRP router id ${id} from ${packet.src} on ${on} is unknown`,
        );
      return;
    }
    const i = this.#cluster.instances.get(spec.name)!;
    const source = this.#sources.get(spec.name);
    if (source === undefined || i.state === "init" || i.state === "stop") return;
    const sequences = this.#sequences.get(spec.name);
    const judgement = judge(packet, {
      spec,
      source,
      knownMaster: i.state === "backup" ? i.master?.address : undefined,
      sequenceOf: (sender) => sequences?.get(sender),
    });
    if (judgement.kind === "silent") return;
    if (judgement.kind === "refused") {
      if (judgement.counter) this.#counters.add(spec.name, judgement.counter);
      this.#complain(
        `${spec.name} ${packet.src} ${judgement.counter}`,
        spec.name,
        packet.src,
        `(${spec.name}) ${judgement.problem}`,
      );
      return;
    }
    if (judgement.sequence !== undefined) {
      const map = sequences ?? new Map<string, number>();
      map.set(packet.src, judgement.sequence);
      this.#sequences.set(spec.name, map);
    }
    this.#counters.add(spec.name, "advertsReceived");
    if (judgement.advert.priority === 0) this.#counters.add(spec.name, "priorityZeroReceived");
    this.#dispatch([{ kind: "advert", instance: spec.name, advert: judgement.advert }]);
  }

  #complain(about: string, instance: string, from: string, problem: string): void {
    const now = this.#host.now();
    if (now - (this.#complained.get(about) ?? Number.NEGATIVE_INFINITY) < REPEAT_COMPLAINT_MS) return;
    if (this.#complained.size > 1000) this.#complained.clear();
    this.#complained.set(about, now);
    this.#tell("warning", `${problem} (from ${from})`, { kind: "refused", instance, problem, from });
  }

  #dispatch(events: readonly ClusterEvent[]): void {
    if (events.length === 0) return;
    const [cluster, actions] = steps(this.#cluster, events, this.#host.now());
    this.#cluster = cluster;
    this.#perform(actions);
  }

  #perform(actions: readonly Action[]): void {
    for (const action of actions) this.#do(action);
    if (actions.length > 0) this.#announce();
  }

  #do(action: Action): void {
    switch (action.kind) {
      case "advert":
        this.#advert(action.instance, action.priority);
        return;
      case "take": {
        const spec = this.#specOf(action.instance);
        if (!spec) return;
        this.#tell("info", `(${spec.name}) setting VIPs.`, { kind: "log" });
        this.#addresses.take(spec.name, this.#wanted(spec));
        if (spec.routes.length + spec.rules.length > 0)
          this.#host.addRoutes(spec.name, spec.routes, spec.rules);
        this.#refuse();
        return;
      }
      case "release":
        this.#queue.cancel(action.instance);
        if (this.#keep) return;
        this.#tell("info", `(${action.instance}) removing VIPs.`, { kind: "log" });
        this.#host.removeRoutes(action.instance);
        this.#addresses.release(action.instance);
        this.#refuse();
        return;
      case "announce": {
        const spec = this.#specOf(action.instance);
        if (spec) this.#queue.push(this.#round(spec), action.repeat);
        return;
      }
      case "tell": {
        const { happening } = action;
        if (happening.kind === "state") {
          this.#since.set(happening.instance, this.#host.wallClock());
          this.#sequences.delete(happening.instance);
          if (happening.to === "master") this.#counters.add(happening.instance, "becameMaster");
          if (happening.from === "master") this.#counters.add(happening.instance, "releasedMaster");
        }
        this.#tell(action.level, action.text, happening);
      }
    }
  }

  #specOf(instance: string): VrrpInstanceSpec | undefined {
    return (this.#cluster.instances.get(instance) ?? this.#leaving.instances.get(instance))?.spec;
  }

  #advert(name: string, priority: number): void {
    const spec = this.#specOf(name);
    const source = this.#sources.get(name) ?? spec?.sourceAddress;
    if (!spec || source === undefined) return;
    let composer = this.#composers.get(name);
    if (composer === undefined) {
      composer = new Composer(spec);
      this.#composers.set(name, composer);
    }
    const vmac = this.#vmacs.get(name);
    const device = vmac && !spec.vmac?.xmitBase ? vmac.name : spec.interface;
    const destinations = spec.peers.length > 0 ? spec.peers.map((p) => p.address) : [spec.group];
    for (const to of destinations) {
      const trouble = this.#host.send(spec.family, device, composer.packet(source, to, priority), to);
      if (trouble)
        this.#complain(
          `send ${name} ${to}`,
          name,
          to,
          `(${name}) cannot send an advert to ${to}: ${trouble}`,
        );
    }
    this.#counters.add(name, "advertsSent");
    if (priority === 0) this.#counters.add(name, "priorityZeroSent");
  }

  /** The addresses of an instance, with their devices. */
  #wanted(spec: VrrpInstanceSpec): AddressToSet[] {
    const vmac = this.#vmacs.get(spec.name);
    return [...spec.addresses, ...spec.excluded].map((a) => {
      const onVmac = vmac && (a.useVmac ?? a.device === spec.interface);
      return addressToSet(a, onVmac ? vmac.name : a.device);
    });
  }

  #round(spec: VrrpInstanceSpec) {
    const { arpIntervalMs, naIntervalMs } = spec.announce;
    return this.#wanted(spec).map(({ device, address }) => ({
      instance: spec.name,
      device,
      address,
      intervalMs: address.includes(":") ? naIntervalMs : arpIntervalMs,
    }));
  }

  #announce(): void {
    for (const a of this.#queue.take(this.#host.now())) this.#host.announce(a.device, a.address);
  }

  /** Packets to the addresses of masters without accept mode are dropped. */
  #refuse(): void {
    const refused = [...this.#cluster.instances.values()]
      .filter((i) => i.state === "master" && !i.spec.accept && i.spec.priority !== OWNER)
      .flatMap((i) => [...i.spec.addresses, ...i.spec.excluded].map((a) => a.address));
    this.#host.refusePackets(refused);
  }

  #makeVirtualInterfaces(spec: VrrpSpec): string[] {
    const problems: string[] = [];
    for (const i of spec.instances) {
      if (!i.vmac) continue;
      const wanted = { name: vmacName(i), over: i.interface, mac: virtualMac(i) };
      try {
        this.#host.virtualInterface(wanted.name, wanted.over, wanted.mac);
        this.#vmacs.set(i.name, wanted);
      } catch (error) {
        problems.push(`(${i.name}) use_vmac: ${(error as Error).message}`);
      }
    }
    return problems;
  }

  #removeVirtualInterfaces(): void {
    for (const [name, vmac] of this.#vmacs) {
      const spec = this.#spec.instances.find((i) => i.name === name);
      if (spec?.vmac && vmacName(spec) === vmac.name && spec.interface === vmac.over) continue;
      this.#vmacs.delete(name);
      if (![...this.#vmacs.values()].some((other) => other.name === vmac.name))
        this.#host.removeVirtualInterface(vmac.name);
    }
  }

  #schedule(): void {
    let next = Math.min(nextTimeout(this.#cluster), this.#queue.nextAt(), this.#links.nextAt());
    if (this.#fresh.length > 0) next = Math.min(next, this.#startAt);
    if (next !== Number.POSITIVE_INFINITY) this.#host.wakeIn(Math.max(0, next - this.#host.now()));
  }
}

/** An address as the host is told of it. */
function addressToSet(a: VirtualAddressSpec, device: string): AddressToSet {
  const { address, prefix, scope, flags } = a;
  return {
    device,
    address,
    prefix,
    scope,
    flags,
    ...(a.broadcast !== undefined && { broadcast: a.broadcast }),
    ...(a.peer !== undefined && { peer: a.peer }),
    ...(a.label !== undefined && { label: a.label }),
    ...(a.preferredLifetimeS !== undefined && { preferredLifetimeS: a.preferredLifetimeS }),
  };
}

/** The sockets that instances need; those on the same interface share one. */
function listenings(instances: readonly VrrpInstanceSpec[]): Listening[] {
  const found = new Map<
    string,
    { interface: string; family: 4 | 6; protocol: number; groups: Set<string> }
  >();
  for (const i of instances) {
    const protocol = i.version === 2 && i.auth?.type === "ah" ? AH : VRRP;
    const key = `${i.interface} ${i.family} ${protocol}`;
    const listening = found.get(key) ?? {
      interface: i.interface,
      family: i.family,
      protocol,
      groups: new Set<string>(),
    };
    if (i.peers.length === 0) listening.groups.add(i.group);
    found.set(key, listening);
  }
  return [...found.values()].map((l) => ({ ...l, groups: [...l.groups] }));
}
