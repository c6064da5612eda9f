/**
 * A live real server: what the packet path needs of a destination, with its counts.
 * @module
 */
import { fold, toWords } from "../wire/address.ts";
import { type DestinationSpec, type DestinationStatus, METHOD_NUMBER } from "./destination.ts";
import { Meter } from "./estimator.ts";
import type { Route, Words } from "./host.ts";
import type { Candidate } from "./schedulers/scheduler.ts";
import type { Family } from "./service.ts";
import type { VirtualService } from "./virtual.ts";

/** Tunnel types as numbers, `IP_VS_CONN_F_TUNNEL_TYPE_*` of `include/uapi/linux/ip_vs.h`. */
export const TUNNEL_NUMBER = { ipip: 0, gue: 1, gre: 2 } as const;

/** A destination of one service, live or in the trash. */
export class RealServer implements Candidate {
  /** Place in the table's register; connections name their server by it. */
  readonly index: number;
  readonly family: Family;
  readonly words: Words;
  readonly fold: number;
  readonly port: number;
  spec: DestinationSpec;
  weight = 0;
  lastWeight = 0;
  active = 0;
  inactive = 0;
  /** Live templates. */
  persistent = 0;
  overloaded = false;
  available = true;
  /** `METHOD_NUMBER` of the forwarding method. */
  method = 0;
  /** Encapsulation, {@link TUNNEL_NUMBER}. */
  tunnel = 0;
  meter = new Meter();
  /** The service it belongs or, in the trash, belonged to. */
  service: VirtualService;
  /** When the trash found it without a connection, ms; undefined while it has some. */
  idleSince: number | undefined;
  /** Cached route, valid while `routeEpoch` is the host's. */
  route: Route | undefined;
  routeEpoch = -1;
  routeMark = 0;
  /** Path MTU learned from ICMP about tunnel packets, bytes, 0 = none; forgotten at `pathMtuUntil` (ms). */
  pathMtu = 0;
  pathMtuUntil = 0;

  constructor(index: number, service: VirtualService, spec: DestinationSpec) {
    this.index = index;
    this.service = service;
    this.family = spec.family;
    this.words = toWords(spec.address);
    this.fold = fold(spec.family, this.words);
    this.port = spec.port;
    this.spec = spec;
    this.apply(spec);
  }

  /** Takes over every setting. Live connections keep the method they were made with. */
  apply(spec: DestinationSpec): void {
    this.spec = spec;
    this.weight = spec.weight;
    if (spec.weight !== 0) this.lastWeight = spec.weight;
    this.method = METHOD_NUMBER[spec.method];
    this.tunnel = TUNNEL_NUMBER[spec.tunnel.type];
    this.routeEpoch = -1;
    // Thresholds are judged anew: between the two nothing changes.
    const total = this.active + this.inactive;
    if (spec.upper === 0 || total < this.lower) this.overloaded = false;
    else if (total >= spec.upper) this.overloaded = true;
  }

  /** The lower threshold in force: the given one, or upper less a quarter. */
  get lower(): number {
    return this.spec.lower || this.spec.upper - Math.floor(this.spec.upper / 4);
  }

  /** A connection was bound. */
  bound(): void {
    if (this.spec.upper !== 0 && this.active + this.inactive >= this.spec.upper) this.overloaded = true;
  }

  /** A connection was unbound. */
  unbound(): void {
    if (this.overloaded && this.active + this.inactive === this.lower - 1) this.overloaded = false;
  }

  /** Whether any connection or template refers to it. */
  get referenced(): boolean {
    return this.active + this.inactive + this.persistent > 0;
  }

  status(): DestinationStatus {
    return {
      spec: this.spec,
      stats: this.meter.read(),
      active: this.active,
      inactive: this.inactive,
      persistent: this.persistent,
    };
  }
}
