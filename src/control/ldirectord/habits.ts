/**
 * What ldirectord does besides keeping the table: its sentences for the log, mails, monitor files, and looking after its own file.
 * Everything comes in by calls; nothing here waits for anything.
 * @module
 */
import { destinationKey } from "../../core/destination.ts";
import type { Letter } from "../alerts/mailer.ts";
import type { HealthEvent, SupervisorOptions } from "../supervision.ts";
import type { MailSpec, RealServerSpec, VirtualServerSpec, Wanted } from "../wanted.ts";
import { type DaemonState, letter, mailed, mailOf, Reminders } from "./mail.ts";
import { appendMonitorLine, monitorLine } from "./monitor-file.ts";
import { sentenceOf, serverText, serviceId, serviceText } from "./words.ts";

/** What is needed from outside. */
export interface HabitOptions {
  /** Takes a sentence; `event` is what it is about. */
  readonly say: (text: string, event?: HealthEvent) => void;
  readonly sendMail: (letter: Letter, mail: MailSpec) => void;
  readonly hostName: string;
  readonly userName: string;
  /** Milliseconds. */
  readonly now: () => number;
  /** Now: as ctime(3) writes it, and as mails have it. */
  readonly date: (form: "ctime" | "mail") => string;
  readonly pid: number;
  readonly appendLine?: (path: string, line: string) => void;
}

type VerdictOf = Parameters<NonNullable<SupervisorOptions["onVerdict"]>>[0];

/** Names a server among all. */
const keyOf = (service: string, server: string): string => `${service}\n${serverText(server)}`;

/** One daemon's habits. */
export class Habits {
  readonly #o: HabitOptions;
  readonly #reminders = new Reminders();
  /** Also those that a reload took away: their last events come after it. */
  readonly #services = new Map<string, VirtualServerSpec>();
  /** Servers of the present configuration without a verdict yet. */
  readonly #unheard = new Set<string>();
  readonly #failures = new Set<string>();
  /** Servers that a maintenance file names. */
  readonly #maintained = new Set<string>();
  /** Every server has had its verdict; what came of the last one is still to be told. */
  #firstRoundDone = false;
  #state: DaemonState = "starting";

  constructor(options: HabitOptions) {
    this.#o = options;
  }

  get state(): DaemonState {
    return this.#state;
  }

  /** A configuration is about to count: at start, or in a reload. */
  configure(wanted: Wanted, state: "starting" | "reloading"): void {
    this.#state = state;
    this.#unheard.clear();
    this.#firstRoundDone = false;
    for (const service of wanted.virtualServers) {
      this.#services.set(service.name, service);
      for (const { id } of service.servers)
        this.#unheard.add(`${service.name}
${destinationKey(id)}`);
    }
    const names = new Set(wanted.virtualServers.map(({ name }) => name));
    this.#reminders.retain((key) => names.has(key.slice(0, key.indexOf("\n"))));
    if (this.#unheard.size === 0) this.#state = "running";
  }

  /** The daemon stops. */
  stopping(): void {
    this.#state = "stopping";
  }

  /** Something happened to a server. */
  health(event: HealthEvent): void {
    const service = this.#services.get(event.service);
    if (event.kind === "check-failure" && event.server !== undefined) {
      this.#failures.add(keyOf(event.service, event.server));
    }
    const sentence = sentenceOf(event, service);
    if (sentence === undefined || service === undefined) return;
    this.#resetFailures(event, service);
    this.#o.say(sentence.text, event);
    if (event.server !== undefined) this.#remember(event, service);
    if (sentence.mail) this.#mail(sentence.text, service);
  }

  /** A server that came back, or was put out, counts from the start again. */
  #resetFailures(event: HealthEvent, service: VirtualServerSpec): void {
    if (event.server === undefined || event.kind === "check-failure") return;
    const counted = this.#failures.delete(keyOf(event.service, event.server));
    if (event.kind !== "server-up" || !(counted || event.table !== "none")) return;
    const id = service.ids[0]!;
    this.#o.say(`Resetting soft failure count: ${serverText(event.server)} (${serviceId(id)})`, event);
  }

  #remember(event: HealthEvent, service: VirtualServerSpec): void {
    const key = keyOf(event.service, event.server!);
    const text = `${serverText(event.server!)} (${serviceText(service.ids[0]!)})`;
    if (event.kind === "server-down") this.#reminders.begin(key, text, service, this.#o.now());
    else if (event.kind === "server-up" || event.kind === "server-removed") this.#reminders.end(key);
  }

  #mail(subject: string, service: VirtualServerSpec): void {
    const mail = mailOf(service);
    if (mail === undefined || !mailed(mail, this.#state)) return;
    const { hostName: host, userName, date } = this.#o;
    const sender = { host, address: `${userName}@${host}`, date: date("mail") };
    const mailing = letter(subject, service, mail, this.#state, sender);
    this.#o.say(`emailalert: ${mailing.subject}`);
    this.#o.sendMail(mailing, mail);
  }

  /** A check has come to a result. */
  verdict({ service, server, spec, verdict }: VerdictOf): void {
    if (this.#firstRoundDone) this.#run();
    const where = serverText(server);
    const about = serversOf(service).get(where);
    if (about === undefined) return;
    const key = keyOf(service.name, server);
    if (spec.kind === "maintenance") {
      if (verdict.ok) this.#maintained.delete(key);
      else this.#maintained.add(key);
    }
    // What a check finds meanwhile does not count.
    const counts = spec.kind === "maintenance" || !this.#maintained.has(key);
    if (service.monitorFile !== undefined && counts) {
      const line = monitorLine(about, spec, verdict, this.#o.date("ctime"), this.#o.pid);
      if (line !== undefined) (this.#o.appendLine ?? appendMonitorLine)(service.monitorFile, line);
    }
    if (spec.kind === "maintenance" && verdict.ok) return;
    if (verdict.ok && this.#failures.delete(key)) {
      this.#o.say(`Resetting soft failure count: ${where} (${serviceId(service.ids[0]!)})`);
    }
    const waiting = this.#unheard.delete(key);
    if (waiting && this.#unheard.size === 0) this.#firstRoundDone = true;
  }

  /** The first round is done, and so is what it changed. */
  #run(): void {
    this.#firstRoundDone = false;
    if (this.#state !== "stopping") this.#state = "running";
  }

  /** To be called now and then: mails about servers that are still down. */
  remind(): void {
    if (this.#firstRoundDone) this.#run();
    for (const { subject, service } of this.#reminders.due(this.#o.now())) this.#mail(subject, service);
  }
}

const known = new WeakMap<VirtualServerSpec, ReadonlyMap<string, RealServerSpec>>();

/** The servers of a service by their keys; worked out once, as every verdict asks for one of perhaps thousands. */
function serversOf(service: VirtualServerSpec): ReadonlyMap<string, RealServerSpec> {
  let servers = known.get(service);
  if (!servers) {
    // Of two with one key the first counts.
    servers = new Map(service.servers.map((s) => [destinationKey(s.id), s] as const).reverse());
    known.set(service, servers);
  }
  return servers;
}
