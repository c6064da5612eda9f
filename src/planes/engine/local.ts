/**
 * A director in this process as a data plane: what the engine process serves over its socket, and what tests use.
 * @module
 */
import type { ConnectionStatus } from "../../core/connection.ts";
import { type ConnectionTable, FLAG } from "../../core/connections.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../../core/daemon.ts";
import {
  type DestinationId,
  type DestinationSpec,
  type ForwardingMethod,
  METHOD_NUMBER,
} from "../../core/destination.ts";
import type { Director } from "../../core/director.ts";
import { TableError } from "../../core/errors.ts";
import { PROTO } from "../../core/flow.ts";
import type { Family, ServiceId, ServiceSpec, ServiceStatus } from "../../core/service.ts";
import type { Settings } from "../../core/settings.ts";
import { MAX_TIMEOUT_S, type Timeouts } from "../../core/timeouts.ts";
import { wordsToText } from "../../wire/address.ts";
import type { DataPlane, PlaneInfo } from "../plane.ts";

/** IPVS 1.2.1. */
export const IPVS_VERSION = 0x010201;
/** The connection table size that is reported: the kernel's default. Ours grows with its content. */
export const TABLE_SIZE = 4096;
/** Connections read in one go. */
const BATCH = 4096;

const METHODS = Object.fromEntries(
  Object.entries(METHOD_NUMBER).map(([name, number]) => [number, name]),
) as Record<number, ForwardingMethod>;

/**
 * Wraps a director.
 * @param clock monotonic ms; the director is brought up to it before every call
 * @param onDaemons makes the sync daemons as the table's register now says
 */
export function localPlane(
  director: Director,
  clock: () => number,
  onDaemons: () => void = () => {},
): DataPlane {
  return new LocalPlane(director, clock, onDaemons);
}

class LocalPlane implements DataPlane {
  readonly name = "engine";
  private readonly director: Director;
  private readonly clock: () => number;
  private readonly onDaemons: () => void;

  constructor(director: Director, clock: () => number, onDaemons: () => void) {
    this.director = director;
    this.clock = clock;
    this.onDaemons = onDaemons;
  }

  private async at<T>(work: () => T): Promise<T> {
    this.director.advance(this.clock());
    return work();
  }

  info(): Promise<PlaneInfo> {
    return this.at(() => ({ version: IPVS_VERSION, tableSize: TABLE_SIZE }));
  }

  services(): Promise<ServiceStatus[]> {
    return this.at(() => this.director.table.services().map((s) => s.status()));
  }
  service(id: ServiceId): Promise<ServiceStatus> {
    return this.at(() => this.director.table.find(id).status());
  }
  addService(spec: ServiceSpec): Promise<void> {
    return this.at(() => this.director.table.addService(spec));
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.at(() => this.director.table.editService(spec));
  }
  removeService(id: ServiceId): Promise<void> {
    return this.at(() => this.director.table.removeService(id));
  }
  flush(): Promise<void> {
    return this.at(() => this.director.table.flush());
  }

  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.at(() => this.director.table.addDestination(service, spec));
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.at(() => this.director.table.editDestination(service, spec));
  }
  removeDestination(service: ServiceId, id: DestinationId): Promise<void> {
    return this.at(() => this.director.table.removeDestination(service, id));
  }

  zero(service?: ServiceId): Promise<void> {
    return this.at(() => this.director.table.zero(service));
  }

  timeouts(): Promise<Timeouts> {
    return this.at(() => this.director.tracker.timeouts);
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.at(() => {
      for (const [name, value] of Object.entries(timeouts)) {
        if (!Number.isInteger(value) || value < 0 || value > MAX_TIMEOUT_S)
          throw new TableError("EINVAL", `timeout ${name} = ${value}: expects 0..${MAX_TIMEOUT_S} seconds`);
      }
      this.director.tracker.setTimeouts(timeouts);
    });
  }

  daemons(): Promise<DaemonStatus[]> {
    return this.at(() => this.director.table.daemons.list());
  }
  startDaemon(spec: DaemonSpec): Promise<void> {
    return this.at(() => {
      this.director.table.daemons.start(spec, this.director.table.mixedFamilies);
      this.onDaemons();
    });
  }
  stopDaemon(state: DaemonState): Promise<void> {
    return this.at(() => {
      this.director.table.daemons.stop(state);
      this.onDaemons();
    });
  }

  async *connections(): AsyncIterable<ConnectionStatus> {
    const { director } = this;
    let from = 0;
    do {
      const now = this.clock();
      director.advance(now);
      const rows: ConnectionStatus[] = [];
      from = director.connections.scan(from, BATCH, (c) => rows.push(row(director, c, now)));
      yield* rows;
    } while (from !== 0);
  }

  settings(): Promise<Settings> {
    return this.at(() => ({ ...this.director.settings }));
  }
  setSettings(change: Partial<Settings>): Promise<void> {
    return this.at(() => this.director.change(change));
  }

  async close(): Promise<void> {}
}

const PROTOCOLS: Record<number, ConnectionStatus["protocol"]> = {
  [PROTO.tcp]: "tcp",
  [PROTO.udp]: "udp",
  [PROTO.sctp]: "sctp",
  [PROTO.ip]: "ip",
};

const words = new Int32Array(4);

function text(family: Family, copy: (into: Int32Array) => void): string {
  copy(words);
  return wordsToText(family, words);
}

function row(director: Director, c: number, now: number): ConnectionStatus {
  const t: ConnectionTable = director.connections;
  const family = t.family(c);
  const destinationFamily = t.destinationFamily(c);
  const flags = t.flags(c);
  const engine = t.rareData(c)?.engine;
  const localPort = t.localPort(c);
  return {
    family,
    protocol: PROTOCOLS[t.protocol(c)],
    state: director.tracker.stateName(c),
    expiresMs: Math.max(0, t.dueAt(c) - now),
    client: text(family, (w) => t.copyClient(c, w)),
    clientPort: t.clientPort(c),
    virtual: text(family, (w) => t.copyVirtual(c, w)),
    virtualPort: t.virtualPort(c),
    destinationFamily,
    destination: text(destinationFamily, (w) => t.copyDestination(c, w)),
    destinationPort: t.destinationPort(c),
    method: METHODS[flags & FLAG.methodMask],
    ...(localPort !== 0 && { local: { address: text(family, (w) => t.copyLocal(c, w)), port: localPort } }),
    ...(engine && { engine }),
    template: (flags & FLAG.template) !== 0,
    fwmark: t.fwmark(c),
    inPackets: t.inPackets(c),
  };
}
