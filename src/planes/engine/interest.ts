/**
 * Which addresses and marks the director must be shown, from its table and its connections.
 * @module
 */
import type { ForwardingMethod } from "../../core/destination.ts";
import type { Director } from "../../core/director.ts";
import type { Family, ServiceStatus } from "../../core/service.ts";
import { wordsToText } from "../../wire/address.ts";
import type { Interest } from "./filter.ts";

/** Whether replies of servers of this method pass the director under their own address. */
export const seesReplies = (method: ForwardingMethod): boolean => method === "nat" || method === "fullnat";

/** What the table asks for. */
export function interestOf(services: readonly ServiceStatus[]): Interest {
  const vips = new Set<string>();
  const servers = new Set<string>();
  const marks = new Set<number>();
  for (const { spec, destinations } of services) {
    if (spec.id.kind === "fwmark") marks.add(spec.id.fwmark);
    else vips.add(spec.id.address);
    for (const d of destinations) {
      if (seesReplies(d.spec.method)) servers.add(d.spec.address);
    }
  }
  return { vips, servers, marks };
}

/**
 * Adds to `interest` what `former` held and live connections still use, so that removing a service or a server cuts nobody off
 * who was let in. Returns whether anything was added: then it is to be looked at again later.
 */
export function keepUsed(interest: Interest, former: Interest, director: Director): boolean {
  const goneVips = new Set([...former.vips].filter((a) => !interest.vips.has(a)));
  const goneServers = new Set([...former.servers].filter((a) => !interest.servers.has(a)));
  if (goneVips.size + goneServers.size === 0 || director.connections.count === 0) return false;
  const words = new Int32Array(4);
  const { connections } = director;
  let kept = false;
  connections.forEach((c) => {
    connections.copyVirtual(c, words);
    kept = keep(connections.family(c), words, goneVips, interest.vips) || kept;
    connections.copyDestination(c, words);
    kept = keep(connections.destinationFamily(c), words, goneServers, interest.servers) || kept;
  });
  return kept;
}

function keep(family: Family, words: Int32Array, gone: Set<string>, into: Set<string>): boolean {
  if (gone.size === 0) return false;
  const address = wordsToText(family, words);
  if (!gone.has(address)) return false;
  into.add(address);
  return true;
}
