/**
 * The process that speaks VRRP, as the daemon sees it: started when there is something to speak about, started again when it
 * dies, asked, told, stopped. It is a process of its own so that nothing here delays its adverts.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import {
  type FromVrrp,
  type Resumption,
  type ToVrrp,
  type TrackResult,
  VRRP_PROCESS,
  type VrrpEvent,
  type VrrpOptions,
  type VrrpStats,
  type VrrpStatus,
} from "../../control/vrrp/messages.ts";
import type { VrrpSpec } from "../../control/vrrp/spec.ts";
import { bootTimeMs } from "../../sys/boot-clock.ts";
import { bundle } from "./paths.ts";

/** Time for an answer, and for a polite end. */
const ANSWER_MS = 5000;
const STOP_MS = 5000;
/** One that lived for this long was well. */
const STEADY_MS = 10_000;
/** Wait before it is started again after it died twice; doubled with every further death. The first time there is no wait. */
const RESPAWN_MS = { first: 500, most: 30_000 } as const;
/** Before a longer wait than this, what the dead process left is taken back at once. */
const LONG_MS = 1000;
/**
 * Intervals of silence that nobody has noticed, beside the one in which it died: others wait for three (RFC 9568 §6.1), whatever
 * is configured here.
 */
const UNNOTICED_ADVERTS = 2;

/** What the daemon hears of it. */
export interface VrrpListener {
  readonly onEvent: (event: VrrpEvent) => void;
  /** It runs (again); its process number. */
  readonly onStart: (pid: number) => void;
  /** It died without being told to. */
  readonly onDeath: (how: string, again: boolean) => void;
}

/** An answer that is waited for. */
interface Waiting {
  readonly resolve: (message: FromVrrp) => void;
  readonly reject: (error: Error) => void;
}

const spawn = (): ChildProcess =>
  fork(bundle(VRRP_PROCESS), [], {
    serialization: "json",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
  });

/** The process. */
export class VrrpProcess {
  readonly #listener: VrrpListener;
  readonly #options: VrrpOptions;
  readonly #respawn: boolean;
  #child: ChildProcess | undefined;
  #spec: VrrpSpec | undefined;
  /** Options of the configuration, which add to those of the command line. */
  #spawnOptions: VrrpOptions = {};
  /** Newest results of tracked things: a new process must hear them again. */
  readonly #tracked = new Map<string, TrackResult>();
  readonly #answers = new Map<number, Waiting>();
  /** Those who gave it a configuration and wait for its word, in their order. */
  #configuring: Waiting[] = [];
  #nextId = 1;
  #stopping = false;
  #startedAt = 0;
  /** Deaths one soon after the other. */
  #deaths = 0;
  /** Instances that are master. */
  readonly #masters = new Set<string>();
  /** Of the process that died last. */
  #resume: readonly Resumption[] = [];
  /** It died, and what it set may still be there. */
  #remains = false;

  constructor(listener: VrrpListener, options: VrrpOptions, respawn: boolean) {
    this.#listener = listener;
    this.#options = options;
    this.#respawn = respawn;
  }

  /** Its process number, while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  #start(): ChildProcess {
    const child = spawn();
    this.#child = child;
    this.#startedAt = performance.now();
    child.on("message", (message) => this.#hear(message as FromVrrp));
    child.on("error", () => {}); // an exit follows, or the answer does not come
    child.once("exit", (status, signal) => this.#gone(child, signal ?? `exit status ${status}`));
    return child;
  }

  #send(message: ToVrrp): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  #hear(message: FromVrrp): void {
    switch (message.kind) {
      case "ready":
        this.#listener.onStart(message.pid);
        return;
      case "event": {
        const { event } = message;
        if (event.kind === "state") {
          if (event.to === "master") this.#masters.add(event.instance);
          else this.#masters.delete(event.instance);
        }
        this.#listener.onEvent(event);
        return;
      }
      case "configured":
        this.#configuring.shift()?.resolve(message);
        return;
      case "stopped":
        return; // its end follows
      default:
        this.#answers.get(message.id)?.resolve(message);
        this.#answers.delete(message.id);
    }
  }

  #gone(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const error = new Error(`the VRRP process ended: ${how}`);
    for (const waiting of this.#answers.values()) waiting.reject(error);
    this.#answers.clear();
    for (const waiting of this.#configuring.splice(0)) waiting.reject(error);
    if (this.#stopping) return;
    this.#remains = true;
    this.#deaths = performance.now() - this.#startedAt < STEADY_MS ? this.#deaths + 1 : 1;
    // What dies again and again does so as master, perhaps: let the others have it.
    this.#resume = this.#deaths === 1 ? this.#resumptions() : [];
    this.#masters.clear();
    const again = this.#respawn && this.#spec !== undefined;
    this.#listener.onDeath(how, again);
    if (!again) return;
    const { first, most } = RESPAWN_MS;
    const waitMs = this.#deaths === 1 ? 0 : Math.min(most, first * 2 ** (this.#deaths - 2));
    // Others take over meanwhile; two hosts must not have the addresses.
    if (waitMs > LONG_MS && this.#spec) void this.#clean(this.#spec);
    setTimeout(() => this.#revive(), waitMs);
  }

  #resumptions(): Resumption[] {
    const now = bootTimeMs();
    return (this.#spec?.instances ?? [])
      .filter(({ name }) => this.#masters.has(name))
      .map(({ name, advertIntMs }) => ({ instance: name, untilMs: now + UNNOTICED_ADVERTS * advertIntMs }));
  }

  #revive(): void {
    if (this.#stopping || this.#child || !this.#spec) return;
    // Should it die again before it answers, onDeath has told so.
    this.configure(this.#spec, this.#spawnOptions).catch(() => undefined);
  }

  /** Gives it a configuration, and starts it for the first. What is wrong with the configuration; nothing was changed then. */
  async configure(spec: VrrpSpec, options: VrrpOptions = {}): Promise<readonly string[]> {
    const fresh = this.#child === undefined;
    if (fresh) this.#start();
    const answer = new Promise<FromVrrp>((resolve, reject) => {
      this.#configuring.push({ resolve, reject });
    });
    // What is known of tracked things comes first: an instance that has to wait for it could not go on as master.
    for (const result of fresh ? this.#tracked.values() : []) this.#send(result);
    const resume = fresh ? this.#resume : [];
    this.#resume = [];
    this.#send({
      kind: "configure",
      spec,
      options: { ...this.#options, ...options },
      ...(resume.length > 0 && { resume }),
    });
    const message = await answer;
    const problems = message.kind === "configured" ? message.problems : [];
    if (problems.length === 0) {
      this.#spec = spec;
      this.#spawnOptions = options;
      this.#remains = false;
    }
    return problems;
  }

  /** A result of something tracked. */
  track(result: TrackResult): void {
    this.#tracked.set(`${result.item} ${result.name}`, result);
    this.#send(result);
  }

  /** An instance has to wait for a peer's connections no longer. */
  caughtUp(instance: string): void {
    this.#send({ kind: "caughtUp", instance });
  }

  #ask(make: (id: number) => ToVrrp): Promise<FromVrrp> {
    if (!this.#child) return Promise.reject(new Error("the VRRP process does not run"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#answers.delete(id);
        reject(new Error("the VRRP process does not answer"));
      }, ANSWER_MS);
      this.#answers.set(id, {
        resolve(message) {
          clearTimeout(timer);
          resolve(message);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#send(make(id));
    });
  }

  async status(): Promise<VrrpStatus> {
    const message = await this.#ask((id) => ({ kind: "status", id }));
    return (message as FromVrrp & { kind: "status" }).status;
  }

  async stats(clear = false): Promise<readonly VrrpStats[]> {
    const message = await this.#ask((id) => ({ kind: "stats", id, clear }));
    return (message as FromVrrp & { kind: "stats" }).stats;
  }

  /** Ends it: addresses are taken back or left. */
  async stop(addresses: "remove" | "keep"): Promise<void> {
    this.#stopping = true;
    const politely = this.#child === undefined || (await this.#end(this.#child, addresses));
    if ((politely && !this.#remains) || addresses === "keep" || !this.#spec) return;
    await this.#clean(this.#spec);
  }

  /** What was killed could not take its addresses back: another process finds them by their mark, and does nothing else. */
  async #clean(spec: VrrpSpec): Promise<void> {
    const child = spawn();
    const send = (message: ToVrrp): boolean => child.send(message, () => {});
    send({ kind: "configure", spec, options: { realtimePriority: 0 } });
    await this.#end(child, "remove", send);
  }

  /** Ends a process; whether it ended by itself. */
  async #end(
    child: ChildProcess,
    addresses: "remove" | "keep",
    send: (message: ToVrrp) => unknown = (message) => this.#send(message),
  ): Promise<boolean> {
    const exited = new Promise<boolean>((resolve) =>
      child.once("exit", (_, signal) => resolve(signal === null)),
    );
    send({ kind: "stop", addresses });
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    const politely = await exited;
    clearTimeout(timer);
    return politely;
  }
}
