/**
 * Runs the state machines on a host: packets, interfaces, track results and time go in as events, actions come out and are carried out.
 * @module
 */
import { AddressKeeper } from "./address-keeper.ts";
import { AnnounceQueue } from "./announcing.ts";
import { type Cluster, type ClusterEvent, due, EMPTY, nextTimeout, reconfigure, steps } from "./cluster.ts";
import { Complaints } from "./complaints.ts";
import { Composer } from "./compose.ts";
import { Counters } from "./counters.ts";
import { fitted } from "./fit.ts";
import type { AddressToSet, HostInterface, VrrpHost } from "./host.ts";
import type { Action, Instance } from "./instance.ts";
import { statusOf } from "./instance-status.ts";
import { LinkBelief } from "./link-belief.ts";
import { listenings } from "./listening.ts";
import type { Resumption, TrackResult, VrrpEvent, VrrpHappening, VrrpStats, VrrpStatus } from "./messages.ts";
import { judge, type Packet, routerIdOf } from "./receive.ts";
import { sourceOf } from "./source.ts";
import { NO_VRRP, type VirtualAddressSpec, type VrrpInstanceSpec, type VrrpSpec } from "./spec.ts";
import { conditions, type Facts } from "./tracking.ts";
import { VirtualInterfaces } from "./virtual-interfaces.ts";

/** Packets taken at once, before timers have their turn: a flood must not hold up our own adverts. */
const BATCH = 64;
/** More than a socket buffer holds: after a sleep, everything that waits is heard before anything is said. */
const BACKLOG = 1024;
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
  readonly #complaints = new Complaints();
  readonly #scripts = new Map<string, boolean>();
  readonly #files = new Map<string, number>();
  readonly #processes = new Map<string, boolean>();
  readonly #sources = new Map<string, string>();
  readonly #since = new Map<string, number>();
  readonly #virtual: VirtualInterfaces;
  #spec: VrrpSpec = NO_VRRP;
  #cluster: Cluster = EMPTY;
  #startAt = Number.POSITIVE_INFINITY;
  #fresh: string[] = [];
  /** Among the fresh ones: those that go on as master. */
  #resumed: ReadonlySet<string> = new Set();
  #keep = false;
  /** Interfaces as they were read for a row of actions; reading them costs more than all else for many instances. */
  #seen: ReadonlyMap<string, HostInterface> | undefined;
  #worstLateMs = 0;
  realtimePriority = 0;

  constructor(host: VrrpHost, onEvent: (event: VrrpEvent) => void) {
    this.#host = host;
    this.#onEvent = onEvent;
    this.#virtual = new VirtualInterfaces(host);
    this.#addresses = new AddressKeeper(host, (owner, level, address, text) =>
      this.#tell(level, owner === STATIC ? text : `(${owner}) ${text}`, {
        kind: "address",
        instance: owner,
        address,
      }),
    );
  }

  /** Takes a specification over; what is wrong with it, and then nothing was changed. */
  configure(wanted: VrrpSpec, resume: readonly Resumption[] = []): string[] {
    const spec = this.#fitted(wanted);
    const problems = this.#virtual.make(spec);
    if (problems.length > 0) return problems;
    const first = this.#spec === NO_VRRP;
    const now = this.#host.now();
    this.#worstLateMs = 0;
    this.#spec = spec;
    this.#links.configure(spec.linkDelays);
    for (const i of spec.instances)
      if (i.promoteSecondaries && i.family === 4) this.#host.promoteSecondaries(i.interface);
    const { cluster, goodbyes, actions, fresh } = reconfigure(this.#cluster, spec, now);
    this.#perform(goodbyes);
    this.#cluster = cluster;
    for (const [name, composer] of this.#composers) {
      const next = cluster.instances.get(name);
      if (next && !fresh.includes(name)) composer.spec = next.spec;
      else this.#composers.delete(name);
    }
    const interfaces = this.#host.interfaces();
    for (const i of cluster.instances.values())
      if (!fresh.includes(i.spec.name))
        this.#addresses.adopt(i.spec.name, this.#wanted(i.spec), false, interfaces);
    this.#perform(actions);
    this.#refuse();
    this.#virtual.removeUnwanted(this.#spec);
    this.#resumed = first ? resumable(spec, resume, now) : new Set();
    for (const name of fresh) {
      const { spec } = cluster.instances.get(name)!;
      this.#addresses.adopt(name, this.#wanted(spec), this.#resumed.has(name));
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
    if (spec.staticRoutes.length + spec.staticRules.length > 0)
      this.#host.addRoutes(STATIC, spec.staticRoutes, spec.staticRules);
    else this.#host.removeRoutes(STATIC);
    this.#fresh = [...new Set([...this.#fresh, ...fresh])].filter((name) => cluster.instances.has(name));
    // A process that replaces another one has waited before.
    if (first) this.#startAt = resume.length > 0 ? now : now + spec.startupDelayMs;
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

  /** The peer's connections are here: the instance has to wait for them no longer. */
  caughtUp(instance: string): void {
    this.#dispatch([{ kind: "caughtUp", instance }]);
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
      else if (this.#addresses.lacking(i.spec.name, this.#wanted(i.spec), interfaces)) {
        // Their interface has come.
        this.#perform([
          { kind: "take", instance: i.spec.name },
          { kind: "announce", instance: i.spec.name, repeat: i.spec.announce.repeat },
        ]);
      }
    }
    this.#dispatch(events);
    this.#schedule();
  }

  /** Something was received. Called again while there is more. */
  readable(): void {
    this.#hear(BATCH);
    this.#schedule();
  }

  #hear(most: number): void {
    for (let n = 0; n < most; n++) {
      const got = this.#host.receive();
      if (!got) return;
      this.#received(got.interface, got.packet);
    }
  }

  /** The time asked for by `wakeIn` has come. Packets that wait come first: who slept must hear before it speaks. */
  wake(): void {
    this.#hear(BACKLOG);
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
    this.#virtual.removeUnwanted(this.#spec);
  }

  /** Whether anything is master. */
  get masters(): boolean {
    return [...this.#cluster.instances.values()].some((i) => i.state === "master");
  }

  status(): VrrpStatus {
    const instances = [...this.#cluster.instances.values()].map((i) => {
      const { name } = i.spec;
      return statusOf(i, {
        group: this.#cluster.groupOf.get(name),
        source: this.#sources.get(name),
        sinceMs: this.#since.get(name) ?? 0,
      });
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
    this.#applyFacts();
    this.#fresh = [];
    // Members of a group go on together, or none does.
    const free = (name: string): boolean => {
      const { faults, waiting } = this.#cluster.instances.get(name)!.conditions;
      return this.#resumed.has(name) && names.includes(name) && faults.length + waiting.length === 0;
    };
    const resumes = (name: string): boolean => {
      const group = this.#cluster.groupOf.get(name);
      return group === undefined
        ? free(name)
        : this.#cluster.groups
            .get(group)!
            .spec.members.every((m) => !this.#cluster.instances.has(m) || free(m));
    };
    const events = names.map(
      (instance) => ({ kind: resumes(instance) ? "resume" : "start", instance }) as const,
    );
    this.#resumed = new Set();
    // Addresses that stayed for instances that do not go on.
    for (const { kind, instance } of events) if (kind === "start") this.#addresses.release(instance);
    this.#dispatch(events);
  }

  /** Reads interfaces, finds source addresses, makes sockets, and lets every instance know. */
  #lookAtInterfaces(): ReadonlyMap<string, HostInterface> {
    let interfaces = this.#host.interfaces();
    const trouble = (instance: string, text: string): void =>
      this.#complain(`vmac ${instance}`, instance, "this host", `(${instance}) ${text}`);
    if (this.#virtual.makeLost(interfaces, trouble)) interfaces = this.#host.interfaces();
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
      (s) => s.family === packet.family && s.routerId === id && s.interface === on,
    );
    // The same id is legal for other peers, and for another group.
    const spec =
      candidates.find((s) => s.peers.some((p) => p.address === packet.src)) ??
      candidates.find((s) => s.peers.length === 0 && s.group === packet.dst) ??
      candidates[0];
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
      if (judgement.received) this.#counters.add(spec.name, "advertsReceived");
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
    const { advert } = judgement;
    this.#dispatch([{ kind: "advert", instance: spec.name, advert }]);
    // The owner's addresses are its own whoever says what; an advert with our own source is no other router's.
    if (advert.priority === 0 || advert.order === 0 || spec.priority === OWNER) return;
    if (this.#cluster.instances.get(spec.name)?.state !== "master")
      this.#addresses.yield(spec.name, this.#wanted(spec), advert.from);
  }

  #complain(about: string, instance: string, from: string, problem: string): void {
    const admitted = this.#complaints.admit(about, this.#host.now());
    if (admitted === "no") return;
    this.#tell("warning", `${problem} (from ${from})`, { kind: "refused", instance, problem, from });
    if (admitted === "last")
      this.#tell("warning", "too many different packets are refused: others are not told for a minute", {
        kind: "log",
      });
  }

  #dispatch(events: readonly ClusterEvent[]): void {
    if (events.length === 0) return;
    const [cluster, actions] = steps(this.#cluster, events, this.#host.now());
    this.#cluster = cluster;
    this.#perform(actions);
  }

  #perform(actions: readonly Action[]): void {
    // Of many instances that become master at once, every one speaks before the addresses of the first are set: others are waiting to hear it.
    for (const action of actions)
      if (action.kind === "advert") this.#advert(action.instance, action.priority);
    for (const action of actions) if (action.kind !== "advert") this.#do(action);
    this.#seen = undefined;
    if (actions.length > 0) this.#announce();
  }

  #do(action: Exclude<Action, { readonly kind: "advert" }>): void {
    switch (action.kind) {
      case "take": {
        const spec = this.#specOf(action.instance);
        if (!spec) return;
        this.#tell("info", `(${spec.name}) setting VIPs.`, { kind: "log" });
        this.#seen ??= this.#host.interfaces();
        this.#addresses.take(spec.name, this.#wanted(spec), this.#seen);
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
        this.#seen = undefined;
        this.#refuse();
        return;
      case "announce": {
        const spec = this.#specOf(action.instance);
        if (spec) this.#queue.push(this.#round(spec), action.repeat);
        return;
      }
      case "announceExtra": {
        const spec = this.#specOf(action.instance);
        if (spec) this.#queue.push(this.#extraRound(spec), 1);
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
    return this.#cluster.instances.get(instance)?.spec;
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
    const vmac = spec.vmac && this.#virtual.of(name);
    const device = vmac && !spec.vmac?.xmitBase ? vmac : spec.interface;
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
    const vmac = spec.vmac && this.#virtual.of(spec.name);
    return [...spec.addresses, ...spec.excluded].map((a) => {
      const onVmac = vmac && (a.useVmac ?? a.device === spec.interface);
      return addressToSet(a, onVmac ? vmac : a.device);
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

  /** One announcement for each interface that has addresses of the instance, but not its adverts to be known by. */
  #extraRound(spec: VrrpInstanceSpec) {
    const vmac = spec.vmac && this.#virtual.of(spec.name);
    const own = vmac && !spec.vmac?.xmitBase ? vmac : spec.interface;
    const virtual = this.#virtual.names;
    const seen = new Set([own]);
    return this.#round(spec).filter(({ device }) => {
      if (seen.has(device) || !(spec.announce.extra?.all || virtual.has(device))) return false;
      seen.add(device);
      return true;
    });
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

  #schedule(): void {
    let next = Math.min(nextTimeout(this.#cluster), this.#queue.nextAt(), this.#links.nextAt());
    if (this.#fresh.length > 0) next = Math.min(next, this.#startAt);
    if (next !== Number.POSITIVE_INFINITY) this.#host.wakeIn(Math.max(0, next - this.#host.now()));
  }
}

/** Those that were master so lately that the others still wait for their next advert. */
function resumable(spec: VrrpSpec, resume: readonly Resumption[], now: number): Set<string> {
  const names = new Set(resume.filter((r) => r.untilMs > now).map((r) => r.instance));
  // The others remember the numbers in authentication headers, and ours begin anew.
  for (const i of spec.instances) if (i.auth?.type === "ah") names.delete(i.name);
  return names;
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
