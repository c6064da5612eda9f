/**
 * What notify scripts and readers of notify pipes are told, in keepalived's exact words (2.2.7).
 * @module
 */

/** States a VRRP instance or group is reported in. */
export type NotifyState =
  | "MASTER"
  | "BACKUP"
  | "FAULT"
  | "STOP"
  | "DELETED"
  | "MASTER_RX_LOWER_PRI"
  | "MASTER_PRIORITY"
  | "BACKUP_PRIORITY";

const upDown = (up: boolean): string => (up ? "UP" : "DOWN");

/** A real server went up or down; names as in logs. */
export const realServerLine = (server: string, service: string, up: boolean): string =>
  `RS ${server} ${service} ${upDown(up)}`;

/** A virtual server gained or lost its quorum. */
export const virtualServerLine = (service: string, up: boolean): string => `VS ${service} ${upDown(up)}`;

/** A VRRP instance changed. */
export const instanceLine = (name: string, state: NotifyState, priority: number): string =>
  `INSTANCE "${name}" ${state} ${priority}`;

/** A sync group changed. */
export const groupLine = (name: string, state: NotifyState): string => `GROUP "${name}" ${state} 0`;

/** Arguments of an instance's `notify` script, after its own. */
export const instanceArguments = (name: string, state: NotifyState, priority: number): readonly string[] => [
  "INSTANCE",
  name,
  state,
  String(priority),
];

/** Arguments of a group's `notify` script, after its own. */
export const groupArguments = (name: string, state: NotifyState): readonly string[] => [
  "GROUP",
  name,
  state,
  "0",
];
