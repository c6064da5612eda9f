/**
 * The machine that the golden cases were recorded on: its interfaces, hosts and services, and a fresh table.
 * @module
 */
import { readFileSync } from "node:fs";
import { Director } from "../../src/core/director.ts";
import type { AddressKind, Host } from "../../src/core/host.ts";
import { makeNames, type Names } from "../../src/interfaces/cli/names.ts";
import { localPlane } from "../../src/planes/engine/local.ts";
import type { DataPlane } from "../../src/planes/plane.ts";
import { wordsToText } from "../../src/wire/address.ts";

/** Where the cases lie. */
export const CASES = new URL("cases/", import.meta.url);

/** Names from the recording's hosts file and an excerpt of /etc/services. */
export const goldenNames = (): Names =>
  makeNames({
    hosts: () => readFileSync(new URL("hosts", CASES), "utf8"),
    services: () => readFileSync(new URL("services", CASES), "utf8"),
    resolver: async () => undefined,
  });

const OWN = ["127.0.0.1", "::1", "198.51.100.1", "2001:db8:ee::1"];

function kindOf(text: string): AddressKind {
  if (text === "0.0.0.0" || text === "::") return "unspecified";
  if (OWN.includes(text) || text.startsWith("127.")) return "local";
  if (text === "198.51.100.255" || text === "255.255.255.255") return "broadcast";
  if (/^(22[4-9]|23\d)\.|^ff/.test(text)) return "multicast";
  return /^fe[89ab]/.test(text) ? "linklocal" : "unicast";
}

/** lo and eth0 (198.51.100.1/24, 2001:db8:ee::1/64, MTU 1500) as the director sees them. */
const host: Host = {
  routeEpoch: 0,
  route: () => undefined,
  addressKind: (family, words) => kindOf(wordsToText(family, words)),
  send: () => {},
  unprivilegedPortStart: 1024,
  interfaceMtu: (name) => ({ eth0: 1500, lo: 65536 })[name],
  availablePages: () => 1_000_000,
};

/** An empty table. */
export function freshPlane(): DataPlane {
  return localPlane(new Director({ host, random: () => 0.5, now: 0 }), () => 0);
}
