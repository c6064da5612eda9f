/**
 * A live virtual service.
 * @module
 */
import { fold, toWords } from "../wire/address.ts";
import { Meter } from "./estimator.ts";
import type { Words } from "./host.ts";
import type { Candidates, Scheduler } from "./schedulers/scheduler.ts";
import type { RealServer } from "./server.ts";
import {
  type Family,
  PROTOCOL_NUMBER,
  type ServiceId,
  type ServiceSpec,
  type ServiceStatus,
  serviceKey,
} from "./service.ts";

/** A virtual service with its destinations, newest first. */
export class VirtualService implements Candidates<RealServer> {
  readonly id: ServiceId;
  readonly key: string;
  readonly family: Family;
  /** IP protocol number. Fwmark services count as TCP, whatever they match. */
  readonly protocol: number;
  /** VIP; zeros for fwmark services. */
  readonly words: Words;
  readonly port: number;
  /** 0 unless a fwmark service. */
  readonly fwmark: number;
  readonly destinations: RealServer[] = [];
  readonly meter = new Meter();
  spec: ServiceSpec;
  schedFlags = 0;
  scheduler: Scheduler<RealServer> | undefined;
  /** Full-NAT local addresses and whose turn it is. */
  localAddresses: Words[] = [];
  localTurn = 0;
  /** Next in the table's hash chain. */
  next: VirtualService | undefined;

  constructor(spec: ServiceSpec) {
    const id = spec.id;
    this.id = id;
    this.key = serviceKey(id);
    this.family = id.family;
    this.protocol = id.kind === "address" ? PROTOCOL_NUMBER[id.protocol] : PROTOCOL_NUMBER.tcp;
    this.words = id.kind === "address" ? toWords(id.address) : new Int32Array(4);
    this.port = id.kind === "address" ? id.port : 0;
    this.fwmark = id.kind === "fwmark" ? id.fwmark : 0;
    this.spec = spec;
    this.apply(spec, undefined);
  }

  /** Takes over every setting. */
  apply(spec: ServiceSpec, scheduler: Scheduler<RealServer> | undefined): void {
    this.spec = spec;
    this.schedFlags = spec.schedFlags;
    this.scheduler = scheduler;
    this.localAddresses = (spec.localAddresses ?? []).map(toWords);
    this.localTurn = 0;
  }

  /** The VIP as one number, for hashing. */
  get fold(): number {
    return fold(this.family, this.words);
  }

  status(): ServiceStatus {
    return {
      spec: this.spec,
      stats: this.meter.read(),
      destinations: this.destinations.map((d) => d.status()),
    };
  }
}
