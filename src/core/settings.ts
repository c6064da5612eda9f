/**
 * The director's settings: what the kernel has as `net.ipv4.vs.*` sysctls (Documentation/networking/ipvs-sysctl.rst).
 * @module
 */
import { TableError } from "./errors.ts";

/** Names are the kernel's, but for `fullnat_toa`. Flags are 0 or 1. */
export interface Settings {
  /** Drop rate of drop_packet in mode 3: every n-th packet; 1.. */
  am_droprate: number;
  /** Pages of available memory under which the automatic modes act; 0.. */
  amemthresh: number;
  /** 1: do not act as a director while the backup sync daemon runs. */
  backup_only: number;
  /** 1: fwmark services without a destination route the packet to its own address. */
  cache_bypass: number;
  /** Bitmap: 0 never reschedule a reused port, 1 when the old connection is over, 2 also DR/TUN connections in FIN_WAIT. */
  conn_reuse_mode: number;
  /** 1: keep netfilter conntrack entries. */
  conntrack: number;
  /** 0 off, 1 and 2 automatic, 3 on. */
  drop_entry: number;
  drop_packet: number;
  secure_tcp: number;
  /** 1: connections of a removed destination expire at once. */
  expire_nodest_conn: number;
  /** 1: templates of a quiesced destination are not used. */
  expire_quiescent_template: number;
  /** 1: packets of unknown protocols are marked and not looked at again. */
  ignore_tunneled: number;
  /** Seconds that an unused lblc or lblcr cache entry lives. */
  lblc_expiration: number;
  lblcr_expiration: number;
  /** 1: answer a real server's packet of no connection with port unreachable. */
  nat_icmp_send: number;
  /** 1: copy DF to the outer header of tunnels and answer frag-needed. */
  pmtu_disc: number;
  /** 1: counters and rates are estimated every 2 s. */
  run_estimation: number;
  /** 1: ICMP errors may be scheduled. */
  schedule_icmp: number;
  /** 1: anything but ABORT may open an SCTP connection. */
  sloppy_sctp: number;
  /** 1: any segment but RST may open a TCP connection. */
  sloppy_tcp: number;
  /** 1: replies are routed again after their source was rewritten. */
  snat_reroute: number;
  /** 1: do not synchronise connections under persistence, only templates. */
  sync_persist_mode: number;
  /** Power of two, 1..64. */
  sync_ports: number;
  /** Messages queued a thread. */
  sync_qlen_max: number;
  /** Seconds. */
  sync_refresh_period: number;
  /** 0..3. */
  sync_retries: number;
  /** Bytes, 0 = system default. */
  sync_sock_size: number;
  /** "threshold period", both 0.., threshold < period unless period is 0. */
  sync_threshold: string;
  /** 0 or 1. */
  sync_version: number;
  /** Not the kernel's: 1 carries the client's address to full-NAT servers in TCP option 254 (TOA). */
  fullnat_toa: number;
}

/** The kernel's defaults (6.1). */
export const DEFAULT_SETTINGS: Readonly<Settings> = {
  am_droprate: 10,
  amemthresh: 1024,
  backup_only: 0,
  cache_bypass: 0,
  conn_reuse_mode: 1,
  conntrack: 0,
  drop_entry: 0,
  drop_packet: 0,
  secure_tcp: 0,
  expire_nodest_conn: 0,
  expire_quiescent_template: 0,
  ignore_tunneled: 0,
  lblc_expiration: 86400,
  lblcr_expiration: 86400,
  nat_icmp_send: 0,
  pmtu_disc: 1,
  run_estimation: 1,
  schedule_icmp: 0,
  sloppy_sctp: 0,
  sloppy_tcp: 0,
  snat_reroute: 1,
  sync_persist_mode: 0,
  sync_ports: 1,
  sync_qlen_max: 4096,
  sync_refresh_period: 0,
  sync_retries: 0,
  sync_sock_size: 0,
  sync_threshold: "3 50",
  sync_version: 1,
  fullnat_toa: 1,
};

const FLAGS: readonly (keyof Settings)[] = [
  "backup_only",
  "cache_bypass",
  "conntrack",
  "expire_nodest_conn",
  "expire_quiescent_template",
  "ignore_tunneled",
  "nat_icmp_send",
  "pmtu_disc",
  "run_estimation",
  "schedule_icmp",
  "sloppy_sctp",
  "sloppy_tcp",
  "snat_reroute",
  "sync_persist_mode",
  "fullnat_toa",
];

/** Inclusive limits of the numeric settings that are not flags. */
const LIMITS: Partial<Record<keyof Settings, readonly [number, number]>> = {
  am_droprate: [0, 0x7fffffff],
  amemthresh: [0, 0x7fffffff],
  conn_reuse_mode: [0, 0x7fffffff],
  drop_entry: [0, 3],
  drop_packet: [0, 3],
  secure_tcp: [0, 3],
  lblc_expiration: [0, 0x7fffffff],
  lblcr_expiration: [0, 0x7fffffff],
  sync_ports: [1, 64],
  sync_qlen_max: [0, 0x7fffffff],
  sync_refresh_period: [0, 0x7fffffff],
  sync_retries: [0, 3],
  sync_sock_size: [0, 0x7fffffff],
  sync_version: [0, 1],
};

/** Whether `name` is a setting. */
export const isSetting = (name: string): name is keyof Settings => Object.hasOwn(DEFAULT_SETTINGS, name);

/**
 * Checks one value as the kernel would on a write to the sysctl. Flags take any number and become 0 or 1.
 * @throws TableError EINVAL that names the setting, the value and the rule.
 */
export function checkSetting<K extends keyof Settings>(name: K, value: number | string): Settings[K] {
  const refuse = (rule: string): never => {
    throw new TableError("EINVAL", `${name} = ${value}: ${rule}`);
  };
  if (name === "sync_threshold") {
    const match = /^\s*(\d+)\s+(\d+)\s*$/.exec(String(value));
    if (!match) return refuse('expects two numbers, "threshold period"');
    const [threshold, period] = [Number(match[1]), Number(match[2])];
    if (period !== 0 && threshold >= period) return refuse("threshold must be less than period, or period 0");
    return `${threshold} ${period}` as Settings[K];
  }
  const number = typeof value === "number" ? value : /^\s*-?\d+\s*$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isInteger(number)) return refuse("expects a whole number");
  if (FLAGS.includes(name)) return (number ? 1 : 0) as Settings[K];
  const [low, high] = LIMITS[name]!;
  if (number < low || number > high) return refuse(`expects ${low}..${high}`);
  if (name === "sync_ports" && (number & (number - 1)) !== 0) return refuse("expects a power of two");
  return number as Settings[K];
}
