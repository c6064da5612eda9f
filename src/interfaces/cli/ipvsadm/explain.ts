/**
 * The second line under a terse error: which word, why, and what to do. Loaded only when somebody will read it.
 * @module
 */
import { serviceKey } from "../../../core/service.ts";
import type { DataPlane } from "../../../planes/plane.ts";
import type { Command } from "./command.ts";
import type { AddressFault, Reason } from "./failure.ts";
import { OPTIONS } from "./grammar.ts";

const FAULTS: Readonly<Record<AddressFault, string>> = {
  empty: "there is no host before the port; write ADDRESS:PORT",
  "no-port-number": "this is a number, not an address; write ADDRESS:PORT",
  "bracket-without-port": "after ] a :PORT must follow; write [2001:db8::1]:80",
  "bracket-not-closed": "the ] is missing; write [2001:db8::1]:80",
  zone: "zone ids (%eth0) are not taken; write the address alone",
  "ipv6-text": "this is no IPv6 address; with a port write [ADDRESS]:PORT",
  "ipv4-range": "this is no address",
  "unknown-host": "no IPv4 host of this name is known; IPv6 hosts must be given as [ADDRESS]:PORT",
  "empty-port": "the port after the colon is missing",
  "port-range": "a port is 0..65535 or a name of /etc/services",
  "unknown-port-name": "/etc/services has no port of this name for the service's protocol; use a number",
  "port-name-before-service":
    "the protocol is not known yet; give the service (-t, -u ...) before -r, or a number",
};

/** The usual way to write an option. */
const dashed = (long: string): string => {
  const row = OPTIONS.find((o) => o.long === long || (long === "flush" && o.long === "clear"));
  if (!row) return long;
  return row.short ? `-${row.short[0]} (--${row.long})` : `--${row.long}`;
};

const COLUMN_WORDS: Readonly<Record<string, string>> = {
  "service-address": "the service (-t, -u, --sctp-service or -f)",
  "forwarding-method": "the forwarding method (-g, -i, -m or --fullnat)",
};
const column = (name: string): string => COLUMN_WORDS[name] ?? dashed(name);

/** The long name that shares most of its beginning with `word`, if it is close. */
function similar(word: string): string | undefined {
  const name = word.replace(/^-+/, "").replace(/=.*/, "");
  if (name.length < 2) return undefined;
  return OPTIONS.find((o) => o.long.startsWith(name))?.long;
}

/** One sentence, without a line feed. The plane is asked what exists when something was not found. */
export async function explanation(reason: Reason, plane: DataPlane): Promise<string> {
  switch (reason.kind) {
    case "option": {
      if (reason.problem === "missing") return `${reason.word}: the option needs a value behind it`;
      if (reason.problem === "unwanted") return `${reason.word}: write the option without =`;
      if (/^-\d+$/.test(reason.word)) return `${reason.word}: a word that begins with - is read as an option`;
      const guess = similar(reason.word);
      const hint = guess
        ? `did you mean --${guess}? Names cannot be abbreviated`
        : "ipvsadm -h lists the options";
      return `${reason.word}: ${hint}`;
    }
    case "no-command":
      return `${reason.word ?? "nothing"}: the first option must be a command: -A -E -D -C -a -e -d -L -Z -S -R --set --start-daemon --stop-daemon`;
    case "no-restore-inside":
      return "-R: rules cannot restore other rules";
    case "second-command":
      return `${reason.word}: one command a line; this line is a '${reason.first}' already`;
    case "number":
      return `${dashed(reason.option)} ${reason.word}: expects a decimal number from ${reason.low} to ${reason.high}`;
    case "address":
      return `${dashed(reason.option)} ${reason.word}: ${FAULTS[reason.fault]}`;
    case "choice":
      return `${dashed(reason.option)} ${reason.word}: expects ${reason.choices.join(" or ")}, in small letters`;
    case "mask":
      return reason.family === 6
        ? `-M ${reason.word}: expects a prefix length from 1 to 128`
        : `-M ${reason.word}: expects a dotted mask such as 255.255.255.0, not a prefix length`;
    case "multicast":
      return `--mcast-group ${reason.word}: expects an address of ${reason.family === 6 ? "ff00::/8" : "224.0.0.0/4"}`;
    case "flag":
      return `-b ${reason.word}: the scheduler of this line is ${reason.scheduler}; flag-1 flag-2 flag-3 go with any, sh-fallback sh-port with sh, mh-fallback mh-port with mh`;
    case "twice":
      return `${column(reason.name)} is given twice; keep one`;
    case "ipv6-too-early":
      return "-6 belongs behind -f MARK; address services show their family themselves";
    case "set-words":
      return `--set: ${reason.count} of 3 numbers given; write --set TCP TCPFIN UDP in seconds, 0 keeps a value`;
    case "leftover":
      return `${reason.word}: no option takes this word`;
    case "needed":
      return `${reason.command}: add ${column(reason.name)}`;
    case "illegal":
      return `${column(reason.name)} means nothing to '${reason.command}'; leave it out`;
    case "conflict":
      return `${column(reason.name)} and ${column(reason.other)} exclude each other; keep one`;
    case "zero-port":
      return `${reason.address}: give a port, or make it a service for all ports with -p`;
    case "one-packet":
      return "-o: TCP and SCTP have connections; use it with -u or -f";
    case "mixed-family":
      return "service and server are of different families; only tunnels (-i) can join them";
    case "tunnel-option":
      return "--tun-* options need the tunnel method; add -i";
    case "local-family":
      return `--local-address ${reason.word}: must be of the service's address family`;
    case "refused":
      return refused(reason.command, reason.code, reason.detail, plane);
  }
}

async function refused(command: Command, code: string, detail: string, plane: DataPlane): Promise<string> {
  const id =
    "service" in command && command.service
      ? command.service
      : command.kind === "add-service" || command.kind === "edit-service"
        ? command.spec.id
        : undefined;
  if (code === "ESRCH" && id) {
    const known = await plane.services().catch(() => []);
    if (id.kind === "fwmark") {
      const other = known.find((s) => s.spec.id.kind === "fwmark" && s.spec.id.fwmark === id.fwmark);
      if (other) {
        return `${serviceKey(id)}: there is only ${serviceKey(other.spec.id)}; ${id.family === 4 ? "add" : "leave out"} -6`;
      }
    } else {
      const other = known.find((s) => s.spec.id.kind === "address" && s.spec.id.address === id.address);
      if (other)
        return `${serviceKey(id)}: not in the table; for this address there is ${serviceKey(other.spec.id)}`;
    }
    return `${serviceKey(id)}: not in the table; ipvsadm -Ln shows what is`;
  }
  if (code === "EEXIST" && command.kind === "add-service") {
    return `${serviceKey(command.spec.id)}: in the table already; -E changes it`;
  }
  if (code === "EEXIST" && command.kind === "add-server") return `${detail}; -e changes it`;
  return detail;
}
