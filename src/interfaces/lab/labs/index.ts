/**
 * Every lab, in the order in which a newcomer would take them.
 * @module
 */
import type { Lab } from "../lab.ts";
import { dr } from "./dr.ts";
import { failover } from "./failover.ts";
import { failoverSync } from "./failover-sync.ts";
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

/** Labs that are another way to go through one of {@link LABS}: the lab's name, the option. */
export const VARIANTS: readonly { readonly of: string; readonly option: "sync"; readonly lab: Lab }[] = [
  { of: failover.name, option: "sync", lab: failoverSync },
];

/** All of them. */
export const EVERY_LAB: readonly Lab[] = [...LABS, ...VARIANTS.map(({ lab }) => lab)];
