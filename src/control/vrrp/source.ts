/**
 * Which address an instance's adverts come from.
 * @module
 */
import type { HostInterface } from "./host.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** rtnetlink scope of link-local addresses. */
const SCOPE_LINK = 253;

/**
 * The configured source (with trackSource only while it is on this host), else the interface's own: the first IPv4 address, or the link-local IPv6
 * one, and for unicast what routing chooses. Virtual addresses (`virtual`) are nobody's own, unless there is nothing else.
 */
export function sourceOf(
  spec: VrrpInstanceSpec,
  interfaces: ReadonlyMap<string, HostInterface>,
  virtual: ReadonlySet<string>,
  towards: (peer: string) => string | undefined,
): string | undefined {
  if (spec.sourceAddress !== undefined) {
    const { sourceAddress } = spec;
    if (!spec.trackSource) return sourceAddress;
    const there = [...interfaces.values()].some((i) => i.addresses.some((a) => a.address === sourceAddress));
    return there ? sourceAddress : undefined;
  }
  const own = interfaces.get(spec.interface)?.addresses.filter((a) => a.family === spec.family) ?? [];
  if (spec.peers.length > 0) {
    const chosen = towards(spec.peers[0].address);
    if (chosen !== undefined && !virtual.has(chosen)) return chosen;
  }
  const usable = spec.family === 4 || spec.peers.length > 0 ? own : own.filter((a) => a.scope === SCOPE_LINK);
  const primary =
    usable.find((a) => !virtual.has(a.address) && !a.secondary) ??
    usable.find((a) => !virtual.has(a.address));
  // The owner of the addresses (priority 255) may have no other.
  return (primary ?? usable.find((a) => !a.ours))?.address;
}
