/**
 * Subjects and bodies of keepalived's mails about VRRP (2.2.7), and the router's name before every subject.
 * @module
 */
import type { Letter } from "./mailer.ts";

/** A letter of this director. */
export const signed = (routerId: string, letter: Letter): Letter => ({
  subject: `[${routerId}] ${letter.subject}`,
  body: `${letter.body}\n\n`,
});

/** A VRRP instance or group changed its state. */
export function vrrpLetter(
  what: "Instance" | "Group",
  name: string,
  state: "MASTER" | "BACKUP" | "FAULT",
  reason?: string,
): Letter {
  const instance = `VRRP Instance is ${state === "MASTER" ? "now" : "no longer"} owning VRRP VIPs`;
  const text = what === "Group" ? `All VRRP group instances are now in ${state} state` : instance;
  return {
    subject: `VRRP ${what} ${name} - Entering ${state} state`,
    body: `=> ${text} <=${reason ? `\n\n${reason}` : ""}`,
  };
}
