/**
 * Exit statuses of the daemon: keepalived's (2.2.7).
 * @module
 */
export const EXIT = { ok: 0, fatal: 1, config: 2, noPermission: 4, missingFile: 6 } as const;
