/**
 * ldirectord's mails: one for every sentence about a real or fallback server, and repeats while a server stays down.
 * @module
 */
import type { Letter } from "../alerts/mailer.ts";
import type { MailSpec, VirtualServerSpec } from "../wanted.ts";

/** What the daemon does, as mails tell it. */
export type DaemonState = NonNullable<MailSpec["states"]>[number];

/** Who sends, when, from where. */
export interface Sender {
  readonly host: string;
  /** Of the envelope: USER@HOST. */
  readonly address: string;
  /** As RFC 5322 §3.3 wants it. */
  readonly date: string;
}

/** A header's value on one line. */
const oneLine = (text: string): string => text.replace(/[\r\n]+/g, " ");

/** A letter about a service. Its message is written here: a mail library would fold the subjects, which filters look for. */
export function letter(
  sentence: string,
  service: VirtualServerSpec,
  mail: MailSpec,
  state: DaemonState,
  sender: Sender,
): Letter {
  const subject = service.label ? `[${service.label}] ${sentence}` : sentence;
  const named = [
    ...(service.label ? [`Service name: ${service.label}`] : []),
    ...(service.comment ? [`Comment: ${service.comment}`] : []),
  ];
  const lines = [
    `ldirectord host: ${sender.host}`,
    `Log-Message: ${subject}`,
    `Daemon-Status: ${state}`,
    ...(named.length > 0 ? ["", ...named] : []),
  ];
  const headers = [
    `From: ${oneLine(mail.from)}`,
    `To: ${oneLine(mail.to.join(", "))}`,
    `Subject: ${oneLine(subject)}`,
    `Date: ${sender.date}`,
    ...(/^[\0-\x7f]*$/.test(subject + named.join())
      ? []
      : ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]),
  ];
  const body = `${lines.join("\n")}\n`;
  const message = [...headers, "", ...lines, ""].join("\r\n");
  return { subject, body, raw: { message, sender: sender.address } };
}

/** Whether mail is sent in a state of the daemon. */
export const mailed = (mail: MailSpec, state: DaemonState): boolean =>
  mail.states === undefined || mail.states.includes(state);

/** The mail settings of a service. */
export function mailOf({ mail }: VirtualServerSpec): MailSpec | undefined {
  if (mail?.to === undefined || mail.from === undefined) return undefined;
  return { helo: "localhost", connectTimeoutS: 30, repeatS: 0, ...mail, to: mail.to, from: mail.from };
}

/** Servers that are down, and when a mail last said so. */
export class Reminders {
  readonly #down = new Map<
    string,
    { readonly text: string; readonly service: VirtualServerSpec; at: number }
  >();

  /** A server went down; `at` in ms. */
  begin(key: string, text: string, service: VirtualServerSpec, at: number): void {
    this.#down.set(key, { text, service, at });
  }

  /** It is back, or no longer ours. */
  end(key: string): void {
    this.#down.delete(key);
  }

  /** Forgets all that `keep` does not name. */
  retain(keep: (key: string) => boolean): void {
    for (const key of this.#down.keys()) if (!keep(key)) this.#down.delete(key);
  }

  /** What is due now. */
  due(now: number): { readonly subject: string; readonly service: VirtualServerSpec }[] {
    const due = [];
    for (const entry of this.#down.values()) {
      const everyMs = (entry.service.mail?.repeatS ?? 0) * 1000;
      if (everyMs === 0 || now - entry.at < everyMs) continue;
      entry.at = now;
      due.push({ subject: `Inaccessible real server: ${entry.text}`, service: entry.service });
    }
    return due;
  }
}
