/**
 * What an ldirectord.cf says: every setting with its default, before it becomes wanted state. Field names are the file's own words
 * where they are words of ours too; times are in seconds, as the file has them.
 * @module
 */
import type { Family } from "../../../core/service.ts";
import type { Place } from "../diagnostic.ts";

/** Forwarding methods in the file's words. */
export type Forward = "gate" | "masq" | "ipip";

/** Daemon states in which mail is sent. */
export type DaemonState = "starting" | "running" | "stopping" | "reloading";
/** In the order of the original. */
export const DAEMON_STATES: readonly DaemonState[] = ["starting", "running", "stopping", "reloading"];

/** A sorry server. */
export interface FallbackSettings {
  readonly address: string;
  /** Absent: each service's own port. */
  readonly port?: number;
  readonly forward: Forward;
  readonly at: Place;
}

/** Settings that stand at the top, or in a block for one service. */
export interface SharedSettings {
  readonly checktimeout?: number;
  readonly negotiatetimeout?: number;
  readonly checkinterval?: number;
  readonly checkcount?: number;
  readonly failurecount?: number;
  readonly quiescent?: boolean;
  readonly cleanstop?: boolean;
  readonly fallbackcommand?: string;
  /** As written: receivers separated by commas. */
  readonly emailalert?: string;
  /** Seconds, 0 for no repeats. */
  readonly emailalertfreq?: number;
  readonly emailalertstatus?: readonly DaemonState[];
  /** SMTP server. */
  readonly smtp?: string;
}

/** Settings of the whole file. */
export interface GlobalSettings extends SharedSettings {
  readonly autoreload?: boolean;
  readonly callback?: string;
  readonly fallback?: FallbackSettings;
  readonly fallback6?: FallbackSettings;
  readonly logfile?: string;
  readonly emailalertfrom?: string;
  readonly execute: readonly string[];
  readonly supervised?: boolean;
  readonly fork?: boolean;
  readonly readdquiescent?: boolean;
  readonly maintenancedir?: string;
}

/** One real server. */
export interface RealSettings {
  /** Canonical text. */
  readonly address: string;
  /** 0: none was given. */
  readonly port: number;
  readonly forward: Forward;
  readonly weight: number;
  /** Thresholds, 0 for none. */
  readonly lower: number;
  readonly upper: number;
  /** Instead of the block's. */
  readonly request?: string;
  readonly receive?: Receive;
  readonly at: Place;
}

/** A regular expression as written, and where. */
export interface Receive {
  readonly text: string;
  readonly at: Place;
}

/** Services that negotiate can speak. */
export const SERVICES = [
  "dns",
  "ftp",
  "http",
  "https",
  "http_proxy",
  "imap",
  "imaps",
  "ldap",
  "ldaps",
  "mysql",
  "nntp",
  "none",
  "oracle",
  "pgsql",
  "pop",
  "pops",
  "radius",
  "simpletcp",
  "sip",
  "smtp",
  "submission",
] as const;
/** One of {@link SERVICES}. */
export type Service = (typeof SERVICES)[number];

/** Standard ports: they decide the service where none is named, and the port to check where none is given. */
export const SERVICE_PORTS: readonly (readonly [number, Service])[] = [
  [21, "ftp"],
  [25, "smtp"],
  [53, "dns"],
  [80, "http"],
  [110, "pop"],
  [119, "nntp"],
  [143, "imap"],
  [389, "ldap"],
  [443, "https"],
  [587, "submission"],
  [636, "ldaps"],
  [993, "imaps"],
  [995, "pops"],
  [1521, "oracle"],
  [1812, "radius"],
  [3128, "http_proxy"],
  [3306, "mysql"],
  [5060, "sip"],
  [5432, "pgsql"],
];

/** Ways of checking in words; a number stands for hybrid checks. */
export const CHECK_TYPES = [
  "negotiate",
  "connect",
  "ping",
  "off",
  "on",
  "external",
  "external-perl",
] as const;
/** One of {@link CHECK_TYPES}, or the N of hybrid checks. */
export type CheckType = (typeof CHECK_TYPES)[number] | number;

/** What names a service. */
export type VirtualAddress =
  | {
      readonly kind: "address";
      readonly family: Family;
      readonly protocol: "tcp" | "udp";
      readonly address: string;
      readonly port: number;
    }
  | { readonly kind: "fwmark"; readonly family: Family; readonly fwmark: number };

/** The directives of a block that have no counterpart at the top. */
export interface BlockSettings extends SharedSettings {
  readonly checktype: CheckType;
  readonly service?: Service;
  readonly checkcommand: string;
  readonly checkport?: number;
  /** With its leading slash. */
  readonly request: string;
  readonly receive?: Receive;
  readonly httpmethod: "GET" | "HEAD";
  readonly virtualhost?: string;
  readonly login: string;
  readonly passwd: string;
  readonly database: string;
  readonly secret: string;
  readonly load?: string;
  readonly scheduler: string;
  readonly persistent?: number;
  /** IPv4: u32. IPv6: prefix length. */
  readonly netmask?: number;
  readonly schedflags?: string;
  readonly ops: boolean;
  readonly monitorfile?: string;
  readonly servicename?: string;
  readonly comment?: string;
}

/** One virtual service, resolved: globals and defaults are in. */
export interface VirtualSettings
  extends Omit<BlockSettings, "checktimeout" | "negotiatetimeout" | "checkinterval" | "service"> {
  readonly id: VirtualAddress;
  /** `tcp:10.0.0.1:80`, `fwm:7`, as logs and process titles have it. */
  readonly name: string;
  readonly service: Service;
  readonly checktimeout: number;
  readonly negotiatetimeout: number;
  readonly checkinterval: number;
  readonly checkcount: number;
  readonly failurecount: number;
  readonly quiescent: boolean;
  readonly cleanstop: boolean;
  readonly emailalertfreq: number;
  readonly emailalertstatus: readonly DaemonState[];
  /** With a port. */
  readonly fallback?: FallbackSettings & { readonly port: number };
  readonly reals: readonly RealSettings[];
  readonly at: Place;
}

/** A whole file. */
export interface LdirectordFile {
  readonly path: string;
  readonly globals: GlobalSettings;
  readonly virtuals: readonly VirtualSettings[];
}

/** `[2001:db8::1]` or `10.0.0.1`. */
export const bracketed = (family: Family, address: string): string =>
  family === 6 ? `[${address}]` : address;

/** Address and port, as `VIP:PORT` in messages; a mark as its number. */
export const virtualText = (id: VirtualAddress): string =>
  id.kind === "fwmark" ? String(id.fwmark) : `${bracketed(id.family, id.address)}:${id.port}`;

/** `tcp:10.0.0.1:80`, `fwm:7`, `fwm6:7`. */
export const virtualName = (id: VirtualAddress): string =>
  id.kind === "fwmark"
    ? `fwm${id.family === 6 ? "6" : ""}:${id.fwmark}`
    : `${id.protocol}:${virtualText(id)}`;
