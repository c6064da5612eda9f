/**
 * The register of connection synchronisation daemons: which may run, with which settings
 * (`net/netfilter/ipvs/ip_vs_sync.c`, `start_sync_thread`).
 * @module
 */
import { parseAddress } from "../wire/address.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "./daemon.ts";
import { TableError } from "./errors.ts";
import type { Host } from "./host.ts";

const DEFAULT_GROUP = "224.0.0.81";
const DEFAULT_PORT = 8848;
/** Smallest MTU a daemon reckons with. */
const MIN_MTU = 1500;
const MIN_BACKUP_LEN = 1024;

/** At most one master and one backup. */
export class DaemonRegister {
  private readonly daemons = new Map<DaemonState, DaemonStatus>();
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  /** Whether any daemon runs. */
  get running(): boolean {
    return this.daemons.size > 0;
  }

  has(state: DaemonState): boolean {
    return this.daemons.has(state);
  }

  /** Running daemons, master first. */
  list(): DaemonStatus[] {
    return (["master", "backup"] as const).flatMap((state) => this.daemons.get(state) ?? []);
  }

  /**
   * @param mixedFamilies whether the table has destinations of another family than their service
   * @throws TableError EINVAL, ENODEV, EEXIST
   */
  start(spec: DaemonSpec, mixedFamilies: boolean): void {
    this.daemons.set(spec.state, this.check(spec, mixedFamilies));
  }

  /**
   * The daemon that {@link start} would start.
   * @throws TableError EINVAL, ENODEV, EEXIST
   */
  check(spec: DaemonSpec, mixedFamilies: boolean): DaemonStatus {
    if (mixedFamilies)
      throw new TableError(
        "EINVAL",
        "a sync daemon and destinations of another family than their service exclude each other",
      );
    const group = spec.group || DEFAULT_GROUP;
    const parsed = parseAddress(group);
    if (!parsed || (parsed.family === 4 ? parsed.bytes[0] >> 4 !== 14 : parsed.bytes[0] !== 0xff))
      throw new TableError("EINVAL", `group ${group} is no multicast address`);
    const mtu = this.host.interfaceMtu(spec.interface);
    if (this.daemons.has(spec.state)) throw new TableError("EEXIST", `a ${spec.state} daemon runs already`);
    if (mtu === undefined) throw new TableError("ENODEV", `no interface "${spec.interface}"`);
    // IP and UDP header.
    const overhead = parsed.family === 6 ? 48 : 28;
    const natural = (spec.state === "backup" ? Math.min(Math.max(mtu, MIN_MTU), 65535) : MIN_MTU) - overhead;
    const smallest = spec.state === "backup" ? MIN_BACKUP_LEN : 1;
    const maxLen = spec.maxLen ? Math.min(Math.max(spec.maxLen, smallest), 65535 - overhead) : natural;
    return { ...spec, group, port: spec.port || DEFAULT_PORT, ttl: spec.ttl || 1, maxLen };
  }

  /** @throws TableError ESRCH */
  stop(state: DaemonState): void {
    if (!this.daemons.delete(state)) throw new TableError("ESRCH", `no ${state} daemon runs`);
  }
}
