/**
 * Hosts and ports of an ldirectord.cf: numbers, or names that are looked up.
 * @module
 */
import type { Family } from "../../../core/service.ts";
import { formatAddress, parseAddress } from "../../../wire/address.ts";
import type { HostNames } from "./facts.ts";
import { Fault, part, type Span } from "./source.ts";

/** A host with or without a port, as it stands. */
export interface HostText {
  readonly host: Span;
  readonly port?: Span;
  /** What follows. */
  readonly rest: Span;
}

/** Characters of host and port names. */
const WORD = "[0-9A-Za-z._+-]+";

/** Cuts `HOST[:PORT]` (IPv6: `[HOST][:PORT]`) off the front. Undefined when there is no host. */
export function cutHost(span: Span, family: Family): HostText | undefined {
  const host = family === 6 ? `\\[([0-9A-Fa-f:.]+)\\]|(${WORD})` : `(${WORD})`;
  const match = new RegExp(`^(?:${host})(?::([0-9A-Za-z_-]+))?`, "d").exec(span.text);
  if (match === null) return undefined;
  const at = match.indices!;
  const piece = (i: number): Span | undefined => {
    const range = at[i];
    return range === undefined ? undefined : part(span, range[0], range[1] - range[0]);
  };
  const bare = family === 6 ? (piece(1) ?? piece(2)) : piece(1);
  const port = piece(family === 6 ? 3 : 2);
  return { host: bare!, rest: part(span, match[0].length), ...(port !== undefined && { port }) };
}

/** The address of a host, canonical text. */
export function readHost(span: Span, family: Family, names: HostNames): string | Fault {
  const parsed = parseAddress(span.text);
  if (parsed !== undefined) {
    if (parsed.family === family) return formatAddress(family, parsed.bytes);
    return new Fault(
      "bad-address",
      `"${span.text}" is an IPv${parsed.family} address, IPv${family} is meant`,
      {
        span,
      },
    );
  }
  const found = names.address(span.text, family);
  if (found !== undefined) return found;
  const looksLikeAddress = /^[\d.]+$/.test(span.text) || span.text.includes(":");
  return looksLikeAddress
    ? new Fault("bad-address", `"${span.text}" is no IPv${family} address`, { span })
    : new Fault("unknown-host", `the host "${span.text}" has no IPv${family} address here`, {
        span,
        remedy:
          "write the address, or put the name into /etc/hosts: names are looked up when the file is read",
      });
}

/** A port, 0..65535, by number or by name. */
export function readPort(span: Span, protocol: "tcp" | "udp", names: HostNames): number | Fault {
  if (/^\d+$/.test(span.text)) {
    const port = Number(span.text);
    return port <= 65535 ? port : new Fault("bad-port", `the port ${span.text} is beyond 65535`, { span });
  }
  return (
    names.port(span.text, protocol) ??
    new Fault("bad-port", `"${span.text}" is no port and no name in /etc/services for ${protocol}`, { span })
  );
}
