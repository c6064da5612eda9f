/**
 * What happens around the table: scripts, pipes and mail, for virtual servers and for VRRP. Nothing here is waited for.
 * @module
 */
import { signed, vrrpLetter } from "../../control/alerts/letters.ts";
import { Mailer } from "../../control/alerts/mailer.ts";
import { NotifyFifos } from "../../control/scripts/fifo.ts";
import {
  groupArguments,
  groupLine,
  instanceArguments,
  instanceLine,
  type NotifyState,
} from "../../control/scripts/lines.ts";
import type { ProgramResult, ProgramSpec } from "../../control/scripts/program.ts";
import { runAllowed, ScriptQueue, type ScriptReport } from "../../control/scripts/queue.ts";
import { scriptPolicy } from "../../control/scripts/security.ts";
import type { Effect } from "../../control/supervision.ts";
import type { VrrpEvent, VrrpState } from "../../control/vrrp/messages.ts";
import type { NotifySpec, SyncGroupSpec, VrrpInstanceSpec, VrrpSpec } from "../../control/vrrp/spec.ts";
import type { GlobalSpec, ScriptSpec, Wanted } from "../../control/wanted.ts";

/** What is told of scripts, pipes and mail. */
export type Tell = (part: "script" | "mail" | "daemon", level: "info" | "warning", text: string) => void;

/** Everything that a program outside might notice of a change. */
export class Effects {
  readonly #tell: Tell;
  readonly #scripts: ScriptQueue;
  readonly #mailer: Mailer;
  #fifos: NotifyFifos | undefined;
  #wanted: Wanted | undefined;
  /** What VRRP takes over just now: instances begin to speak of themselves before everything else is reloaded. */
  #coming: VrrpSpec | undefined;
  #fifoKey = "";

  constructor(tell: Tell) {
    this.#tell = tell;
    this.#scripts = new ScriptQueue({ policy: { enforce: false }, report: (report) => this.#report(report) });
    this.#mailer = new Mailer({
      info: (text) => tell("mail", "info", text),
      warn: (text) => tell("mail", "warning", text),
    });
  }

  /** From now on VRRP may speak of these instances and groups, and still of those that go. Undefined: it is not so after all. */
  expect(vrrp: VrrpSpec | undefined): void {
    this.#coming = vrrp;
  }

  #instance(name: string): VrrpInstanceSpec | undefined {
    const of = (vrrp: VrrpSpec | undefined) => vrrp?.instances.find((i) => i.name === name);
    return of(this.#coming) ?? of(this.#wanted?.vrrp);
  }

  #group(name: string): SyncGroupSpec | undefined {
    const of = (vrrp: VrrpSpec | undefined) => vrrp?.groups.find((g) => g.name === name);
    return of(this.#coming) ?? of(this.#wanted?.vrrp);
  }

  /** Takes over the settings of a configuration. Pipes whose settings stay are not touched. */
  configure(wanted: Wanted): void {
    this.#wanted = wanted;
    this.#coming = undefined;
    this.#scripts.policy = scriptPolicy(wanted);
    const { notifyFifo, lvsNotifyFifo, vrrpNotifyFifo } = wanted.global;
    const key = JSON.stringify([notifyFifo, lvsNotifyFifo, vrrpNotifyFifo, this.#scripts.policy]);
    if (key === this.#fifoKey) return;
    this.#fifoKey = key;
    this.#fifos?.close();
    this.#fifos = new NotifyFifos(wanted.global, this.#scripts.policy, {
      warn: (text) => this.#tell("daemon", "warning", text),
    });
  }

  #report({ about, what, command, problem, result }: ScriptReport): void {
    const took = result ? ` in ${Math.round(result.latencyMs)} ms` : "";
    if (problem === undefined)
      this.#tell("script", "info", `${what} of ${about}: ${command.join(" ")} ended well${took}`);
    else this.#tell("script", "warning", `${what} of ${about}: ${command.join(" ")}: ${problem}`);
  }

  /** Runs a script of the whole daemon and waits for it. */
  async runAlone(what: string, script: ScriptSpec | undefined): Promise<void> {
    if (script) await this.#scripts.add("the daemon", what, { timeoutS: 10, ...script });
  }

  /** Runs a tracked script, as the configured user and only when the rules allow it. */
  run(spec: ProgramSpec, signal: AbortSignal): Promise<ProgramResult> {
    return runAllowed(this.#scripts.policy, spec, signal);
  }

  /** Does what the supervisor asks for. */
  perform(effect: Effect): void {
    switch (effect.kind) {
      case "script":
        void this.#scripts.add(effect.service, effect.what, effect.script);
        return;
      case "fifo":
        this.#fifos?.lvs(effect.line);
        return;
      case "mail": {
        const wanted = this.#wanted;
        if (!wanted || (effect.fromChecker && wanted.global.noCheckerEmails)) return;
        this.#mailer.send(signed(wanted.global.routerId, effect), mailFor(wanted, effect.service));
        return;
      }
      case "fallback-command": {
        const { id, command, word, service } = effect;
        // compat: a mark has neither address nor port (ldirectord 4.12).
        const address = id.kind === "fwmark" ? "" : id.family === 6 ? `[${id.address}]` : id.address;
        const end = `${address}:${id.kind === "fwmark" ? 0 : id.port}`;
        const protocol = id.kind === "fwmark" ? "fwm" : id.protocol;
        const line = `${command} ${word} ${end} ${protocol}`;
        void this.#scripts.add(service, "fallbackcommand", { command: ["/bin/sh", "-c", line] });
        return;
      }
    }
  }

  /** Does what a change of a VRRP instance or group asks for: notify_STATE, notify, the pipe, mail. */
  vrrp(event: VrrpEvent): void {
    const wanted = this.#wanted;
    if (!wanted) return;
    switch (event.kind) {
      case "state": {
        // Another instance of that name may come in its place; and one that goes is told of as failed, unless that has its own script.
        const gone = wanted.vrrp.instances.find(({ name }) => name === event.instance);
        const spec = event.to === "deleted" ? gone : this.#instance(event.instance);
        const to = event.to === "deleted" && !gone?.notify.deleted ? "fault" : event.to;
        const state = WORD[to];
        const args = instanceArguments(event.instance, state, event.priority);
        this.#notify(event.instance, spec?.notify, to, args);
        this.#fifos?.vrrp(instanceLine(event.instance, state, event.priority));
        if (spec?.smtpAlert) this.#mailVrrp(wanted.global, "Instance", event.instance, state, event.reason);
        return;
      }
      case "group": {
        const spec = this.#group(event.group);
        const state = WORD[event.to];
        this.#notify(event.group, spec?.notify, event.to, groupArguments(event.group, state));
        this.#fifos?.vrrp(groupLine(event.group, state));
        if (spec?.smtpAlert) this.#mailVrrp(wanted.global, "Group", event.group, state);
        return;
      }
      case "priority": {
        const spec = this.#instance(event.instance);
        if (!spec?.notifyPriorityChanges) return;
        if (event.state !== "master" && event.state !== "backup") return;
        const state = event.state === "master" ? "MASTER_PRIORITY" : "BACKUP_PRIORITY";
        const args = instanceArguments(event.instance, state, event.to);
        void this.#scripts.add(event.instance, "notify", spec.notify.any, args);
        this.#fifos?.vrrp(instanceLine(event.instance, state, event.to));
        return;
      }
      case "masterRxLowerPri": {
        const spec = this.#instance(event.instance);
        const script = spec?.notify.masterRxLowerPri;
        void this.#scripts.add(event.instance, "notify_master_rx_lower_pri", script);
        this.#fifos?.vrrp(instanceLine(event.instance, "MASTER_RX_LOWER_PRI", event.priority));
        return;
      }
    }
  }

  #notify(name: string, notify: NotifySpec | undefined, to: Told, args: readonly string[]): void {
    if (!notify) return;
    void this.#scripts.add(name, `notify_${to}`, notify[to]);
    void this.#scripts.add(name, "notify", notify.any, args);
  }

  #mailVrrp(
    global: GlobalSpec,
    what: "Instance" | "Group",
    name: string,
    state: NotifyState,
    reason?: string,
  ): void {
    if (state !== "MASTER" && state !== "BACKUP" && state !== "FAULT") return;
    if (state === "FAULT" && global.noFaultEmails) return;
    this.#mailer.send(signed(global.routerId, vrrpLetter(what, name, state, reason)), global.mail);
  }

  /** Scripts that run or wait. */
  get scripts(): number {
    return this.#scripts.length;
  }

  /** Waits for scripts and mail, at most `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    const [scripts, mail] = await Promise.all([this.#scripts.idle(limitMs), this.#mailer.idle(limitMs)]);
    if (!scripts)
      this.#tell("script", "warning", `${this.#scripts.length} scripts are ended: they took too long`);
    if (!mail) this.#tell("mail", "warning", "mail that could not be sent in time is dropped");
  }

  close(): void {
    this.#scripts.close();
    this.#fifos?.close();
    this.#fifos = undefined;
    this.#fifoKey = "";
  }
}

type Told = Exclude<VrrpState, "init"> | "deleted";

const WORD = {
  master: "MASTER",
  backup: "BACKUP",
  fault: "FAULT",
  stop: "STOP",
  deleted: "DELETED",
} as const satisfies Record<Told, NotifyState>;

/** Mail settings of a virtual server: its own over those of the whole. */
function mailFor(wanted: Wanted, service: string): GlobalSpec["mail"] {
  const own = wanted.virtualServers.find(({ name }) => name === service)?.mail;
  const { mail } = wanted.global;
  if (!own) return mail;
  return mail ? { ...mail, ...own } : own.to && own.from ? { ...NO_MAIL, ...own } : undefined;
}

const NO_MAIL = { to: [], from: "", helo: "localhost", connectTimeoutS: 30, repeatS: 0 } as const;
