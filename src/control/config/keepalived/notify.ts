/**
 * What instances and sync groups have in common: notify programs and mail.
 * @module
 */
import type { Keyword } from "./keyword.ts";
import { flagKeyword, scriptKeyword } from "./values.ts";
import type { NotifyDraft } from "./vrrp-draft.ts";

type Named = NotifyDraft & { readonly name: string };

const program = (
  field: Exclude<keyof NotifyDraft, "smtpAlert" | "notifyPriorityChanges">,
  word: string,
): Keyword<Named> =>
  scriptKeyword<Named>(
    field as never,
    ({ name }) => `(${name}) ${word} script already specified - ignoring %s`,
  );

/** The keywords. */
export const NOTIFY: Readonly<Record<string, Keyword<Named>>> = {
  notify_master: program("master", "notify_master"),
  notify_backup: program("backup", "notify_backup"),
  notify_fault: program("fault", "notify_fault"),
  notify_stop: program("stop", "notify_stop"),
  notify_deleted: program("deleted", "notify_deleted"),
  notify: program("any", "notify"),
  notify_master_rx_lower_pri: program("masterRxLowerPri", "notify_master_rx_lower_pri"),
  smtp_alert: flagKeyword("smtpAlert", "Invalid vrrp_instance smtp_alert parameter %s"),
  notify_priority_changes: flagKeyword(
    "notifyPriorityChanges",
    "Invalid value '%s' for notify_priority_changes specified",
  ),
};
