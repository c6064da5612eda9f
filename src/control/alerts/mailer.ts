/**
 * Mail that waits for nobody: a short queue per mail server, one connection at a time, failures told once and forgotten.
 * @module
 */
import { existsSync } from "node:fs";
import type { MailSpec } from "../wanted.ts";

/** What is to be told. */
export interface Letter {
  readonly subject: string;
  readonly body: string;
  /** The whole message as it stands, headers and all, instead of one made of subject and body; and its envelope's sender. */
  readonly raw?: { readonly message: string; readonly sender: string };
}

/** Letters that wait at most; a mail server that is down for long gets no flood when it returns. */
const MOST_WAITING = 200;
const SENDMAIL = ["/usr/sbin/sendmail", "/usr/lib/sendmail"] as const;

/** How a letter is carried. Rejects when it could not be delivered. */
export type Carrier = (letter: Letter, mail: MailSpec) => Promise<void>;

/** By nodemailer: plain SMTP, STARTTLS when the server offers it; without a server by the local sendmail. */
export const carry: Carrier = async (letter, mail) => {
  const { createTransport } = await import("nodemailer");
  const timeout = Math.max(1, mail.connectTimeoutS) * 1000;
  const path = mail.server ? undefined : SENDMAIL.find((program) => existsSync(program));
  if (!mail.server && !path) throw new Error("there is no mail server, and no sendmail either");
  const transport = mail.server
    ? createTransport({
        host: mail.server.host,
        port: mail.server.port,
        name: mail.helo,
        secure: false,
        // A relay in the own network rarely has a certificate that can be checked; keepalived sends in the clear.
        tls: { rejectUnauthorized: false },
        connectionTimeout: timeout,
        greetingTimeout: timeout,
        socketTimeout: timeout,
      })
    : createTransport({ sendmail: true, path: path! });
  try {
    const content = letter.raw
      ? { envelope: { from: letter.raw.sender, to: [...mail.to] }, raw: letter.raw.message }
      : {
          from: mail.from,
          to: [...mail.to],
          subject: letter.subject,
          text: letter.body,
          headers: { "X-Mailer": "lvsd" },
        };
    // Addresses and texts come from the configuration: nothing in them names files or urls to fetch.
    await transport.sendMail({ ...content, disableFileAccess: true, disableUrlAccess: true });
  } finally {
    transport.close();
  }
};

/** Where results are told. */
export interface MailLog {
  info(text: string): void;
  warn(text: string): void;
}

/** The queue. */
export class Mailer {
  readonly #log: MailLog;
  readonly #carry: Carrier;
  readonly #waiting: { readonly letter: Letter; readonly mail: MailSpec }[] = [];
  #busy: Promise<void> | undefined;
  #dropped = 0;

  constructor(log: MailLog, carrier: Carrier = carry) {
    this.#log = log;
    this.#carry = carrier;
  }

  /** Sends when its turn comes. Without receivers nothing is sent. */
  send(letter: Letter, mail: MailSpec | undefined): void {
    if (!mail || mail.to.length === 0) return;
    if (this.#waiting.length >= MOST_WAITING) {
      if (this.#dropped++ === 0)
        this.#log.warn(`${MOST_WAITING} mails wait already: further ones are dropped until they are sent`);
      return;
    }
    this.#waiting.push({ letter, mail });
    this.#busy ??= this.#work().finally(() => {
      this.#busy = undefined;
    });
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      const { letter, mail } = next;
      try {
        await this.#carry(letter, mail);
        this.#log.info(`mailed "${letter.subject}" to ${mail.to.join(", ")}`);
      } catch (error) {
        const where = mail.server ? `${mail.server.host}:${mail.server.port}` : "sendmail";
        this.#log.warn(`mail "${letter.subject}" was not sent by ${where}: ${(error as Error).message}`);
      }
    }
    if (this.#dropped > 0) this.#log.warn(`${this.#dropped} mails were dropped`);
    this.#dropped = 0;
  }

  /** Waits until all is sent, at most `limitMs`. Whether that is so. */
  async idle(limitMs: number): Promise<boolean> {
    if (!this.#busy) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), limitMs);
    });
    const done = await Promise.race([this.#busy.then(() => true), late]);
    clearTimeout(timer);
    return done;
  }
}
