/**
 * Every lab, in the order in which a newcomer would take them.
 * @module
 */
import type { Lab } from "../lab.ts";
import { dr } from "./dr.ts";
import { failover } from "./failover.ts";
import { fullnat } from "./fullnat.ts";
import { fwmark } from "./fwmark.ts";
import { ipv6 } from "./ipv6.ts";
import { local } from "./local.ts";
import { nat } from "./nat.ts";
import { persistence } from "./persistence.ts";
import { sorry } from "./sorry.ts";
import { tun } from "./tun.ts";
import { udp } from "./udp.ts";

export const LABS: readonly Lab[] = [
  nat,
  dr,
  tun,
  fullnat,
  fwmark,
  persistence,
  local,
  ipv6,
  udp,
  sorry,
  failover,
];
