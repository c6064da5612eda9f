/**
 * Settings, timeouts and counts of services → the words that every packet looks at first.
 * @module
 */
import { readFileSync } from "node:fs";
import { UnsupportedError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings.ts";
import { SCTP_TIMEOUT_MS } from "../../core/states/sctp.ts";
import { TCP_STATE, TCP_TIMEOUT_MS } from "../../core/states/tcp.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { CONFIG, DEFENCE, SETTING } from "./layout.ts";
import type { Maps } from "./maps.ts";
import { memoryPlaces } from "./memory.ts";
import type { Rules } from "./rules.ts";

/** Modes of defence strategies that follow the memory: 2 while it is short, 1 otherwise. */
const isAutomatic = (mode: unknown): boolean => mode === 1 || mode === 2;
const STRATEGIES = ["drop_entry", "drop_packet", "secure_tcp"] as const;
const BIT = {
  drop_entry: DEFENCE.dropEntry,
  drop_packet: DEFENCE.dropPacket,
  secure_tcp: DEFENCE.secureTcp,
} as const;

/** Settings that need more than the BPF programs do, with the values that are refused, and why. */
const REFUSED: { readonly [K in keyof Settings]?: { test(value: unknown): boolean; why: string } } = {
  conntrack: { test: (v) => v !== 0, why: "packets do not pass netfilter's connection tracking" },
};

/** Refuses what this plane cannot do. @throws UnsupportedError that names the planes that can */
export function checkSettings(change: Partial<Settings>): void {
  const follows = STRATEGIES.find((strategy) => isAutomatic(Number(change[strategy])));
  const places = follows && memoryPlaces();
  if (typeof places === "string")
    throw new UnsupportedError(
      `${follows}=${change[follows!]} is nothing for the eBPF plane on this kernel: ${places}; 0 and 3 work, the engine and the kernel plane have all`,
    );
  for (const [name, value] of Object.entries(change)) {
    const refused = REFUSED[name as keyof Settings];
    if (refused?.test(Number(value)))
      throw new UnsupportedError(
        `${name}=${value} is nothing for the eBPF plane: ${refused.why}; the engine and the kernel plane have it`,
      );
  }
}

/** Settings as this plane has them: automatic modes say what came of them. */
export function shownSettings(settings: Readonly<Settings>, maps: Maps | undefined): Settings {
  const inForce = maps?.array("config").view.getUint32(CONFIG.at.in_force, LITTLE_ENDIAN) ?? 0;
  const shown = { ...settings };
  for (const strategy of STRATEGIES)
    if (isAutomatic(shown[strategy])) shown[strategy] = inForce & BIT[strategy] ? 2 : 1;
  return shown;
}

/** Bits of `config.settings`. */
function settingBits(s: Settings): number {
  const on = (value: unknown, bit: number): number => (value ? bit : 0);
  return (
    on(s.sloppy_tcp, SETTING.sloppyTcp) |
    on(s.sloppy_sctp, SETTING.sloppySctp) |
    on(s.expire_nodest_conn, SETTING.expireNodestConn) |
    on(s.expire_quiescent_template, SETTING.expireQuiescentTemplate) |
    on(s.nat_icmp_send, SETTING.natIcmpSend) |
    on(s.cache_bypass, SETTING.cacheBypass) |
    on(s.schedule_icmp, SETTING.scheduleIcmp) |
    on(s.pmtu_disc, SETTING.pmtuDisc) |
    on(s.fullnat_toa, SETTING.fullnatToa) |
    on(!s.snat_reroute, SETTING.keepRoute) |
    on(s.ignore_tunneled, SETTING.ignoreTunneled) |
    on(s.run_estimation, SETTING.runEstimation)
  );
}

/** Writes all of it; words that tests and loading set (clock, size of the slab) stay. */
export function writeConfig(maps: Maps, rules: Rules): void {
  const { view } = maps.array("config");
  const { settings, timeouts, table } = rules;
  const word = (field: keyof typeof CONFIG.at, value: number): void =>
    view.setUint32(CONFIG.at[field], value, LITTLE_ENDIAN);
  const list = (field: "tcp_ms" | "sctp_ms", values: readonly number[]): void => {
    for (const [i, ms] of values.entries())
      view.setUint32(CONFIG.at[field] + 4 * i, Math.min(ms, 0xffffffff), LITTLE_ENDIAN);
  };
  word("settings", settingBits(settings));
  word("conn_reuse_mode", settings.conn_reuse_mode);
  writeDefences(view, settings);
  const tcp = [...TCP_TIMEOUT_MS];
  tcp[TCP_STATE.ESTABLISHED] = timeouts.tcp * 1000;
  tcp[TCP_STATE.FIN_WAIT] = timeouts.tcpFin * 1000;
  list("tcp_ms", tcp);
  list("sctp_ms", SCTP_TIMEOUT_MS);
  word("udp_ms", Math.min(timeouts.udp * 1000, 0xffffffff));
  word("lblc_expiration_s", settings.lblc_expiration);
  word("lblcr_expiration_s", settings.lblcr_expiration);
  word("stand_back", settings.backup_only && table.daemons.has("backup") ? 1 : 0);
  word("port_start", unprivilegedPortStart());
  writeSync(word, rules);

  const { census, ends } = rules;
  word("est_services", ends.services);
  word("est_dests", ends.destinations);
  word("mark_services", census.marked);
  word("ftp_services", census.ftp);
  word("any_port_services", census.anyPort);
  word("sip_services", census.sip);
  word("oneway_dests", census.oneWay);
  word("services4", census.services4);
  word("services6", census.services6);
}

/** What of requests the sync process is told (core/sync/master.ts decides which of those are announced). */
function writeSync(
  word: (field: keyof typeof CONFIG.at, value: number) => void,
  { settings, table }: Rules,
): void {
  const [threshold = 0, period = 0] = settings.sync_threshold.trim().split(/\s+/).map(Number);
  // A template's own count is that of all requests of its connections.
  word("sync_first_child", Math.max(1, threshold));
  // Without a period it is refreshing that announces, from the first request in a state worth it.
  word("sync_first", period === 0 && settings.sync_refresh_period > 0 ? 2 : 0);
  word("sync_threshold", threshold);
  word("sync_period", period);
  word("sync_on", table.daemons.has("master") ? 1 : 0);
  // Only the process of a master waits for connections, and ends that; one that was killed did not.
  if (!table.daemons.has("master")) word("awaiting", 0);
}

/** The strategies that are wanted; the programs say in `in_force` and `drop_rate` what came of it. */
function writeDefences(view: DataView, settings: Readonly<Settings>): void {
  const word = (field: keyof typeof CONFIG.at, value: number): void =>
    view.setUint32(CONFIG.at[field], value, LITTLE_ENDIAN);
  const automatic = STRATEGIES.some((strategy) => isAutomatic(settings[strategy]));
  if (automatic && view.getBigUint64(CONFIG.at.free_pages_at, LITTLE_ENDIAN) === 0n) writePlaces(view);
  word("amemthresh", settings.amemthresh);
  word("am_droprate", settings.am_droprate);
  word(
    "defences",
    settings.drop_entry |
      (settings.drop_packet << DEFENCE.packetShift) |
      (settings.secure_tcp << DEFENCE.secureShift) |
      (automatic ? DEFENCE.automatic : 0),
  );
}

/** Where the programs find out how much memory there is: looked for once, when it is first asked for. */
function writePlaces(view: DataView): void {
  const places = memoryPlaces();
  if (typeof places === "string") return;
  const { devices } = places;
  const address = (field: "free_pages_at" | "devices_at", value: bigint): void =>
    view.setBigUint64(CONFIG.at[field], value, LITTLE_ENDIAN);
  const offset = (field: keyof typeof CONFIG.at, value: number): void =>
    view.setUint32(CONFIG.at[field], value, LITTLE_ENDIAN);
  if (devices) {
    offset("super_inodes", devices.superInodes);
    offset("inode_list", devices.inodeList);
    offset("inode_mapping", devices.inodeMapping);
    offset("mapping_pages", devices.mappingPages);
    address("devices_at", devices.superblock);
  }
  address("free_pages_at", places.freePages);
}

/** How long the port below is believed: of thousands of changes in a row not each reads it. */
const PORT_START_MS = 1000;
let portStart = { port: 1024, until: Number.NEGATIVE_INFINITY };

function unprivilegedPortStart(): number {
  if (performance.now() < portStart.until) return portStart.port;
  let port = 1024;
  try {
    port = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  } catch {
    // The kernel's default.
  }
  portStart = { port, until: performance.now() + PORT_START_MS };
  return port;
}
