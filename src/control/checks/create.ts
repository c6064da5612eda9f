/**
 * Makes a checker from a spec: the one place that knows every kind.
 * @module
 */
import { randomBytes, randomInt } from "node:crypto";
import { MaintenanceChecker } from "../ldirectord/maintenance.ts";
import { AlwaysChecker } from "./always.ts";
import type { Checker, CheckSpec } from "./check.ts";
import { DialogueChecker } from "./dialogue.ts";
import { DnsChecker } from "./dns.ts";
import { FileChecker } from "./file.ts";
import { HttpChecker } from "./http.ts";
import { HybridChecker } from "./hybrid.ts";
import { LdapChecker } from "./ldap.ts";
import { MiscChecker } from "./misc.ts";
import { PingChecker } from "./ping.ts";
import { RadiusChecker } from "./radius.ts";
import { SipChecker } from "./sip.ts";
import { SmtpChecker } from "./smtp.ts";
import { type LoadPackage, SqlChecker } from "./sql.ts";
import { TcpChecker } from "./tcp.ts";
import { UdpChecker } from "./udp.ts";

/** What checkers take from their surroundings. */
export interface CheckEnv {
  /** @default the system's */
  readonly randomBytes?: (length: number) => Uint8Array;
  /** Loads optional packages. @default from where lvsd is installed */
  readonly load?: LoadPackage;
}

/**
 * Makes a checker. It does nothing until asked.
 * @throws SyntaxError or RangeError for a pattern or a payload that is none, which readers of configuration let nobody write
 */
export function createChecker(spec: CheckSpec, env: CheckEnv = {}): Checker {
  const random = env.randomBytes ?? randomBytes;
  switch (spec.kind) {
    case "tcp":
      return new TcpChecker(spec);
    case "http":
      return new HttpChecker(spec);
    case "smtp":
      return new SmtpChecker(spec);
    case "dns":
      return new DnsChecker(spec, () => randomInt(0x10000));
    case "udp":
      return new UdpChecker(spec, random);
    case "ping":
      return new PingChecker(spec, random);
    case "misc":
      return new MiscChecker(spec);
    case "file":
      return new FileChecker(spec);
    case "dialogue":
      return new DialogueChecker(spec);
    case "ldap":
      return new LdapChecker(spec);
    case "radius":
      return new RadiusChecker(spec, random);
    case "sql":
      return new SqlChecker(spec, env.load);
    case "sip":
      return new SipChecker(spec, random);
    case "always":
      return new AlwaysChecker(spec);
    case "maintenance":
      return new MaintenanceChecker(spec);
    case "hybrid":
      return new HybridChecker(spec, (part) => createChecker(part, env));
  }
}
