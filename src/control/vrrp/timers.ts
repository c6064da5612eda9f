/**
 * How long a router waits: RFC 3768 §6.1, RFC 9568 §6.1. Milliseconds with fractions.
 * @module
 */

/** The better the priority, the shorter: so the best backup speaks first. In version 2 the interval does not count. */
export function skewMs(version: 2 | 3, priority: number, intervalMs: number): number {
  return ((256 - priority) * (version === 2 ? 1000 : intervalMs)) / 256;
}

/** Silence after which a backup takes the master for dead. `missed` is how many adverts may fail to come, 3 by the RFCs. */
export function downMs(version: 2 | 3, priority: number, intervalMs: number, missed: number): number {
  return missed * intervalMs + skewMs(version, priority, intervalMs);
}
