/**
 * A supervisor with a plane in memory, time that tests let pass, and checks whose answers tests decide; and small specs for it.
 * @module
 */
import type { CheckSpec, Verdict } from "../control/checks/check.ts";
import type { Effect, HealthEvent, Supervisor, SupervisorOptions } from "../control/supervision.ts";
import { createSupervisor } from "../control/supervisor.ts";
import { NO_VRRP } from "../control/vrrp/spec.ts";
import type {
  CheckEntry,
  CheckTiming,
  GlobalSpec,
  RealServerSpec,
  VirtualServerSpec,
  Wanted,
} from "../control/wanted.ts";
import { IPIP } from "../core/destination.ts";
import type { ServiceId } from "../core/service.ts";
import { fullMask } from "../core/service.ts";
import { FakeClock, settled } from "./fake-clock.ts";
import { FakePlane } from "./fake-plane.ts";
import { seeded } from "./random.ts";

const AT = { file: "test.conf", line: 1, column: 1 };

/** keepalived's defaults, but quicker, and without spread. */
export const TIMING: CheckTiming = {
  delayLoopMs: 6000,
  retry: 2,
  delayBeforeRetryMs: 1000,
  warmupMs: 0,
  firstFailureCounts: true,
};

/** `10.0.0.1:80` over TCP. */
export function serviceId(text: string): ServiceId {
  const [address, port] = text.split(":");
  return { kind: "address", family: 4, protocol: "tcp", address, port: Number(port) };
}

/** A TCP check of a server. */
export const tcpCheck = (
  address: string,
  change: Partial<CheckEntry> & { timing?: CheckTiming } = {},
): CheckEntry => ({
  spec: { kind: "tcp", target: { family: 4, address, port: 80 }, timeoutMs: 5000 },
  timing: TIMING,
  alpha: false,
  at: AT,
  ...change,
});

/** A real server with a TCP check, weight 1, NAT, port 80. */
export const realServer = (address: string, change: Partial<RealServerSpec> = {}): RealServerSpec => ({
  id: { family: 4, address, port: 80 },
  method: "nat",
  tunnel: IPIP,
  weight: 1,
  upper: 0,
  lower: 0,
  inhibitOnFailure: false,
  checks: [tcpCheck(address)],
  smtpAlert: false,
  at: AT,
  ...change,
});

/** `10.0.0.1:80`, wlc, quorum 1. */
export const virtualServer = (
  text: string,
  servers: readonly RealServerSpec[],
  change: Partial<VirtualServerSpec> = {},
): VirtualServerSpec => {
  const [address, port] = text.split(":");
  return {
    name: `[${address}]:tcp:${port}`,
    ids: [serviceId(text)],
    service: {
      scheduler: "wlc",
      schedFlags: 0,
      persistent: false,
      timeoutS: 0,
      netmask: fullMask(4),
      engine: "",
      onePacket: false,
    },
    servers,
    quorum: 1,
    hysteresis: 0,
    omega: false,
    haSuspend: false,
    keepOnStop: false,
    smtpAlert: false,
    at: AT,
    ...change,
  };
};

/** A sorry server by NAT at port 80. */
export const sorryServer = (address: string, inhibit = false): NonNullable<VirtualServerSpec["sorry"]> => ({
  id: { family: 4, address, port: 80 },
  method: "nat",
  tunnel: IPIP,
  inhibit,
});

/** A whole configuration. */
export const configuration = (
  virtualServers: readonly VirtualServerSpec[],
  global: Partial<GlobalSpec> = {},
  language: Wanted["language"] = "keepalived",
): Wanted => ({
  language,
  files: ["test.conf"],
  global: {
    routerId: "test",
    noCheckerEmails: false,
    noFaultEmails: false,
    flush: false,
    flushOnStop: "no",
    scriptSecurity: false,
    rsInitNotifies: false,
    ...global,
  },
  virtualServers,
  vrrp: NO_VRRP,
});

const GOOD: Verdict = { ok: true, detail: "connected", latencyMs: 1 };

/** The failure that {@link SupervisorBed.fail} makes. */
export const REFUSED: Verdict = { ok: false, detail: "connection refused", latencyMs: 1 };

/** See the module's description. */
export class SupervisorBed {
  readonly clock = new FakeClock();
  readonly fake: FakePlane;
  readonly supervisor: Supervisor;
  readonly events: HealthEvent[] = [];
  readonly effects: Effect[] = [];
  /** Scripts, pipe lines and mails, and changes of the table, in the order in which they happened. */
  readonly order: string[] = [];
  /** Checks made, by address. */
  readonly checks = new Map<string, number>();
  /** Checkers that have been made and not been closed. */
  open = 0;
  readonly #verdicts = new Map<string, Verdict>();

  constructor(options: Partial<SupervisorOptions> = {}, fake?: FakePlane) {
    this.fake = fake ?? new FakePlane(() => this.clock.now());
    this.fake.refuse = (call) => this.order.push(call);
    this.supervisor = createSupervisor({
      plane: this.fake.plane,
      clock: this.clock,
      random: seeded(1),
      createChecker: (spec) => this.#checker(spec),
      onEvent: (event) => this.events.push(event),
      onEffect: (effect) => {
        this.effects.push(effect);
        this.order.push(tellEffect(effect));
      },
      repairMs: 0,
      ...options,
    });
  }

  #checker(spec: CheckSpec) {
    this.open++;
    const { address } = spec.target;
    return {
      check: async () => {
        this.checks.set(address, (this.checks.get(address) ?? 0) + 1);
        return this.#verdicts.get(address) ?? GOOD;
      },
      close: () => {
        this.open--;
      },
    };
  }

  /** From now on checks of this address answer so. */
  answer(address: string, verdict: Verdict): void {
    this.#verdicts.set(address, verdict);
  }
  fail(...addresses: string[]): void {
    for (const address of addresses) this.answer(address, REFUSED);
  }
  heal(...addresses: string[]): void {
    for (const address of addresses) this.#verdicts.delete(address);
  }

  /** Lets seconds pass. */
  async pass(seconds: number): Promise<void> {
    await this.clock.pass(seconds * 1000);
  }

  /** Applies and waits. */
  async apply(...virtualServers: VirtualServerSpec[]): Promise<void> {
    await this.supervisor.apply(configuration(virtualServers));
    await settled();
  }

  /** Events since the last look: keepalived's words, or kind and reason where it has none. */
  words(): string[] {
    return this.events.splice(0).map((e) => e.words || `(${e.kind}) ${e.reason}`);
  }

  /** What was done, in order, since the last look. */
  done(): string[] {
    return this.order.splice(0);
  }
}

function tellEffect(effect: Effect): string {
  if (effect.kind === "fifo") return `fifo: ${effect.line}`;
  if (effect.kind === "mail") return `mail: ${effect.subject} ${effect.body}`;
  if (effect.kind === "script") return `${effect.what}: ${effect.script.command.join(" ")}`;
  return `fallback: ${effect.command} ${effect.word}`;
}
