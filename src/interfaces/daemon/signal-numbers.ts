/**
 * Signal numbers by keepalived's names for `--signum` (2.2.7, x86-64 and arm64).
 * @module
 */
export const SIGNUM: Readonly<Record<string, number>> = {
  STOP: 15,
  RELOAD: 1,
  DATA: 10,
  STATS: 12,
  STATS_CLEAR: 63,
  JSON: 36,
};
