/**
 * A data plane in memory, over a real director, so that its refusals are the real ones; it tells what it was asked to change, and can
 * be slow, refuse, or have connections.
 * @module
 */
import { type DestinationSpec, destinationKey } from "../core/destination.ts";
import { Director } from "../core/director.ts";
import { type ServiceId, serviceKey } from "../core/service.ts";
import { localPlane } from "../planes/engine/local.ts";
import type { DataPlane } from "../planes/plane.ts";
import { seeded } from "./random.ts";
import { RecordingHost } from "./recording-host.ts";

/** Methods that change services or destinations, and how a call of one reads. */
const CHANGES: Partial<Record<keyof DataPlane, (...args: never[]) => string>> = {
  addService: (spec: { id: ServiceId; scheduler: string }) => `add ${serviceKey(spec.id)} ${spec.scheduler}`,
  editService: (spec: { id: ServiceId; scheduler: string }) =>
    `edit ${serviceKey(spec.id)} ${spec.scheduler}`,
  removeService: (id: ServiceId) => `remove ${serviceKey(id)}`,
  addDestination: (_id: ServiceId, d: DestinationSpec) => `add ${destinationKey(d)} weight ${d.weight}`,
  editDestination: (_id: ServiceId, d: DestinationSpec) => `edit ${destinationKey(d)} weight ${d.weight}`,
  removeDestination: (_id: ServiceId, d: DestinationSpec) => `remove ${destinationKey(d)}`,
  flush: () => "flush",
  setTimeouts: (t: { tcp: number; tcpFin: number; udp: number }) => `timeouts ${t.tcp} ${t.tcpFin} ${t.udp}`,
  startDaemon: (d: { state: string; interface: string }) => `start ${d.state} daemon on ${d.interface}`,
  stopDaemon: (state: string) => `stop ${state} daemon`,
};

/** See the module's description. */
export class FakePlane {
  readonly director: Director;
  /** The plane as others see it. */
  readonly plane: DataPlane;
  /** Changes that were asked for, in order. */
  readonly calls: string[] = [];
  /** Calls of any kind. */
  total = 0;
  /** Awaited before each call is carried out. */
  gate: () => Promise<void> = () => Promise.resolve();
  /** Throws to refuse a change; gets it as `calls` shows it. */
  refuse: (call: string) => void = () => {};

  /** @param clock monotonic ms */
  constructor(clock: () => number = () => 0) {
    this.director = new Director({ host: new RecordingHost(["127.0.0.1"]), random: seeded(1), now: clock() });
    const inner = localPlane(this.director, clock);
    this.plane = new Proxy(inner, {
      get: (target, name: keyof DataPlane & string) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function" || name === "connections") return value;
        const tell = CHANGES[name] as ((...args: unknown[]) => string) | undefined;
        return async (...args: unknown[]) => {
          this.total++;
          await this.gate();
          if (tell) {
            const call = tell(...args);
            this.calls.push(call);
            this.refuse(call);
          }
          return (value as (...a: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }

  /** The changes since the last look. */
  news(): string[] {
    return this.calls.splice(0);
  }

  /** The table as text: `tcp 10.0.0.1:80 wlc`, then its destinations `  10.0.1.1:80 1`, both sorted. */
  table(): string[] {
    const services = this.director.table.services().map((s) => {
      const to = s.destinations.map((d) => `  ${destinationKey(d.spec)} ${d.weight}`).sort();
      return [`${s.key} ${s.spec.scheduler}`, ...to];
    });
    return services.sort((a, b) => (a[0] < b[0] ? -1 : 1)).flat();
  }

  /** Gives a destination live connections. */
  connect(service: ServiceId, address: string, active: number, inactive = 0): void {
    const server = this.director.table.find(service).destinations.find((d) => d.spec.address === address);
    if (!server) throw new Error(`${serviceKey(service)} has no ${address}`);
    server.active = active;
    server.inactive = inactive;
  }
}
