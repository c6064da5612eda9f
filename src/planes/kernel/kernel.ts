/**
 * The kernel plane: the kernel's own ip_vs, driven by generic netlink and read from /proc. The state is the kernel's; this holds
 * one socket.
 *
 * Built into a file of its own (`dist/lvsd-kernel.cjs`), which commands load when this plane is chosen.
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import type { ConnectionStatus } from "../../core/connection.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../../core/daemon.ts";
import {
  type DestinationId,
  type DestinationSpec,
  type DestinationStatus,
  destinationKey,
} from "../../core/destination.ts";
import { TableError, type TableErrorCode } from "../../core/errors.ts";
import { type ServiceId, type ServiceSpec, type ServiceStatus, serviceKey } from "../../core/service.ts";
import type { Settings } from "../../core/settings.ts";
import type { Timeouts } from "../../core/timeouts.ts";
import { GenericNetlink } from "../../sys/genl.ts";
import { SysError } from "../../sys/libc.ts";
import * as ipvs from "../../wire/ipvs.ts";
import type { NetlinkWriter } from "../../wire/netlink.ts";
import type { DataPlane, PlaneInfo } from "../plane.ts";
import { parseConnections } from "./connections.ts";
import { readSettings, writeSettings } from "./settings.ts";
import {
  fromDaemon,
  fromDestination,
  fromService,
  toDaemon,
  toDestination,
  toService,
  toServiceId,
} from "./translate.ts";

const CONNECTIONS = "/proc/net/ip_vs_conn";
const CHUNK = 1 << 18;

/** The errno names that come through as they are. */
const CODES: ReadonlySet<string> = new Set<TableErrorCode>([
  "EEXIST",
  "ESRCH",
  "ENOENT",
  "EINVAL",
  "ERANGE",
  "ENODEV",
  "EPERM",
  "EAFNOSUPPORT",
  "EOPNOTSUPP",
  "ENOMEM",
  "EMSGSIZE",
  "ENOPROTOOPT",
]);

/** What the kernel means, where its errno alone does not say. */
const MEANING: Partial<Record<TableErrorCode, string>> = {
  EEXIST: "it is there already",
  ESRCH: "it is not there",
  EPERM: "it needs CAP_NET_ADMIN in this network namespace",
  ERANGE: "a weight or threshold is out of range",
  ENODEV: "there is no such interface",
};

function refusal(error: unknown, what: string): unknown {
  if (!(error instanceof SysError)) return error;
  const code = CODES.has(error.code) ? (error.code as TableErrorCode) : "EIO";
  const meaning = MEANING[code] ? ` (${MEANING[code]})` : "";
  return new TableError(code, `${what}: the kernel says ${error.message}${meaning}`);
}

/** Opens the family; loads the module, once, where it is not there yet. */
function openFamily(): GenericNetlink {
  const open = (): GenericNetlink | undefined => GenericNetlink.open(ipvs.FAMILY, ipvs.VERSION);
  const found = open();
  if (found) return found;
  spawnSync("/sbin/modprobe", ["--", "ip_vs"], { stdio: "ignore" });
  const loaded = open();
  if (loaded) return loaded;
  throw new TableError(
    "ENOPROTOOPT",
    "this kernel has no ip_vs; the engine plane needs none: LVSD_PLANE=engine",
  );
}

/**
 * The plane of the network namespace that this thread is in. Loads ip_vs where needed.
 * @throws TableError ENOPROTOOPT without ip_vs, EPERM without the privilege
 */
export function kernelPlane(): DataPlane {
  let family: GenericNetlink | undefined;
  let info: PlaneInfo = { version: 0, tableSize: 0 };
  try {
    family = openFamily();
    family.request(ipvs.CMD.GET_INFO, undefined, (a) => {
      info = ipvs.parseInfo(a);
    });
    return new KernelPlane(family, info);
  } catch (error) {
    family?.close();
    throw refusal(error, "open the kernel's ip_vs");
  }
}

class KernelPlane implements DataPlane {
  readonly name = "kernel";
  readonly #family: GenericNetlink;
  readonly #info: PlaneInfo;

  constructor(family: GenericNetlink, info: PlaneInfo) {
    this.#family = family;
    this.#info = info;
  }

  /** Does it; a refusal becomes the table's, with `what` being tried. */
  async #try<T>(what: () => string, work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      throw refusal(error, what());
    }
  }

  #change(what: () => string, command: number, write?: (w: NetlinkWriter) => void): Promise<void> {
    return this.#try(what, () => this.#family.request(command, write));
  }

  async info(): Promise<PlaneInfo> {
    return this.#info;
  }

  services(): Promise<ServiceStatus[]> {
    return this.#try(
      () => "list the services",
      () => {
        // The answers are read to their end before the next dump begins: a socket has one at a time.
        // The kernel goes on by counting, also other namespaces' services: when those change meanwhile it repeats some.
        const found = new Map<string, ipvs.ServiceReport>();
        this.#family.dump(ipvs.CMD.GET_SERVICE, undefined, (a) => {
          const s = ipvs.parseService(a);
          if (s) found.set(`${s.family} ${s.fwmark} ${s.protocol} ${s.address} ${s.port}`, s);
        });
        return [...found.values()].flatMap((s) => fromService(s, this.#destinations(s)) ?? []);
      },
    );
  }

  service(id: ServiceId): Promise<ServiceStatus> {
    return this.#try(
      () => `look up ${serviceKey(id)}`,
      () => {
        let found: ipvs.ServiceReport | undefined;
        this.#family.request(
          ipvs.CMD.GET_SERVICE,
          (w) => ipvs.emitServiceId(w, toServiceId(id)),
          (a) => {
            found = ipvs.parseService(a);
          },
        );
        const status = found && fromService(found, this.#destinations(found));
        if (!status) throw new TableError("ESRCH", `no virtual service ${serviceKey(id)}`);
        return status;
      },
    );
  }

  #destinations(service: ipvs.ServiceId): DestinationStatus[] {
    const found: DestinationStatus[] = [];
    this.#family.dump(
      ipvs.CMD.GET_DEST,
      (w) => ipvs.emitServiceId(w, service),
      (a) => {
        const destination = ipvs.parseDestination(a, service.family);
        if (destination) found.push(fromDestination(destination));
      },
    );
    return found;
  }

  addService(spec: ServiceSpec): Promise<void> {
    return this.#service("add", ipvs.CMD.NEW_SERVICE, spec);
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.#service("edit", ipvs.CMD.SET_SERVICE, spec);
  }
  #service(verb: string, command: number, spec: ServiceSpec): Promise<void> {
    return this.#change(
      () => `${verb} service ${serviceKey(spec.id)} (scheduler ${spec.scheduler})`,
      command,
      (w) => ipvs.emitService(w, toService(spec)),
    );
  }
  removeService(id: ServiceId): Promise<void> {
    return this.#change(
      () => `remove service ${serviceKey(id)}`,
      ipvs.CMD.DEL_SERVICE,
      (w) => ipvs.emitServiceId(w, toServiceId(id)),
    );
  }
  flush(): Promise<void> {
    return this.#change(() => "remove all services", ipvs.CMD.FLUSH);
  }

  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#destination("add", ipvs.CMD.NEW_DEST, service, spec);
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#destination("edit", ipvs.CMD.SET_DEST, service, spec);
  }
  #destination(verb: string, command: number, id: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#change(
      () => `${verb} destination ${destinationKey(spec)} of ${serviceKey(id)}`,
      command,
      (w) => {
        ipvs.emitServiceId(w, toServiceId(id));
        ipvs.emitDestination(w, toDestination(spec));
      },
    );
  }
  removeDestination(service: ServiceId, id: DestinationId): Promise<void> {
    return this.#change(
      () => `remove destination ${destinationKey(id)} of ${serviceKey(service)}`,
      ipvs.CMD.DEL_DEST,
      (w) => {
        ipvs.emitServiceId(w, toServiceId(service));
        ipvs.emitDestinationId(w, id);
      },
    );
  }

  zero(service?: ServiceId): Promise<void> {
    if (!service) return this.#change(() => "zero all counters", ipvs.CMD.ZERO);
    return this.#change(
      () => `zero the counters of ${serviceKey(service)}`,
      ipvs.CMD.ZERO,
      (w) => ipvs.emitServiceId(w, toServiceId(service)),
    );
  }

  timeouts(): Promise<Timeouts> {
    return this.#try(
      () => "read the timeouts",
      () => {
        let timeouts: Timeouts = { tcp: 0, tcpFin: 0, udp: 0 };
        this.#family.request(ipvs.CMD.GET_CONFIG, undefined, (a) => {
          timeouts = ipvs.parseTimeouts(a);
        });
        return timeouts;
      },
    );
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.#change(
      () => `set the timeouts to ${timeouts.tcp} ${timeouts.tcpFin} ${timeouts.udp} seconds`,
      ipvs.CMD.SET_CONFIG,
      (w) => ipvs.emitTimeouts(w, timeouts),
    );
  }

  daemons(): Promise<DaemonStatus[]> {
    return this.#try(
      () => "list the daemons",
      () => {
        const found: DaemonStatus[] = [];
        this.#family.dump(ipvs.CMD.GET_DAEMON, undefined, (a) => {
          const daemon = ipvs.parseDaemon(a);
          if (daemon) found.push(fromDaemon(daemon));
        });
        return found;
      },
    );
  }
  startDaemon(spec: DaemonSpec): Promise<void> {
    return this.#change(
      () => `start the ${spec.state} daemon on ${spec.interface}`,
      ipvs.CMD.NEW_DAEMON,
      (w) => ipvs.emitDaemon(w, toDaemon(spec)),
    );
  }
  async stopDaemon(state: DaemonState): Promise<void> {
    try {
      await this.#change(
        () => `stop the ${state} daemon`,
        ipvs.CMD.DEL_DAEMON,
        (w) => ipvs.emitDaemonState(w, ipvs.DAEMON_STATE[state]),
      );
    } catch (error) {
      // compat: stopping a thread that had not begun to run gives that thread's error, though it is stopped.
      const odd = error instanceof TableError && error.code === "EIO";
      if (!odd || (await this.daemons()).some((d) => d.state === state)) throw error;
    }
  }

  async *connections(): AsyncGenerator<ConnectionStatus> {
    yield* parseConnections(readChunks(CONNECTIONS));
  }

  /** Those that this kernel has. */
  async settings(): Promise<Settings> {
    return readSettings() as Settings;
  }
  async setSettings(change: Partial<Settings>): Promise<void> {
    writeSettings(change);
  }

  async close(): Promise<void> {
    this.#family.close();
  }
}

/** A file of /proc piece by piece. @throws TableError */
function* readChunks(path: string): Generator<string> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw new TableError("EIO", `read the connections: ${(error as Error).message}`);
  }
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      const n = readSync(fd, buffer);
      if (n === 0) return;
      yield buffer.toString("latin1", 0, n);
    }
  } finally {
    closeSync(fd);
  }
}
