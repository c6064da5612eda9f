/**
 * The process that speaks VRRP, as the daemon sees it: started when there is something to speak about, started again when it
 * dies, asked, told, stopped. It is a process of its own so that nothing here delays its adverts.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import {
  type FromVrrp,
  type ToVrrp,
  type TrackResult,
  VRRP_PROCESS,
  type VrrpEvent,
  type VrrpOptions,
  type VrrpStats,
  type VrrpStatus,
} from "../../control/vrrp/messages.ts";
import type { VrrpSpec } from "../../control/vrrp/spec.ts";
import { bundle } from "./paths.ts";

/** Time for an answer, and for a polite end. */
const ANSWER_MS = 5000;
const STOP_MS = 5000;
/** Wait before it is started again after it died. */
const RESPAWN_MS = 500;
/** Deaths within this time of its start that end the attempts. */
const HOPELESS = { deaths: 5, withinMs: 3000 } as const;

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

/** The process. */
export class VrrpProcess {
  readonly #listener: VrrpListener;
  readonly #options: VrrpOptions;
  readonly #respawn: boolean;
  #child: ChildProcess | undefined;
  #spec: VrrpSpec | undefined;
  /** Newest results of tracked things: a new process must hear them again. */
  readonly #tracked = new Map<string, TrackResult>();
  readonly #answers = new Map<number, Waiting>();
  /** Those who gave it a configuration and wait for its word, in their order. */
  #configuring: Waiting[] = [];
  #nextId = 1;
  #stopping = false;
  #startedAt = 0;
  #deaths = 0;

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
    const child = fork(bundle(VRRP_PROCESS), [], {
      serialization: "json",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
    });
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
      case "event":
        this.#listener.onEvent(message.event);
        return;
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
    this.#deaths = performance.now() - this.#startedAt < HOPELESS.withinMs ? this.#deaths + 1 : 1;
    const again = this.#respawn && this.#spec !== undefined && this.#deaths < HOPELESS.deaths;
    this.#listener.onDeath(how, again);
    if (again) setTimeout(() => this.#revive(), RESPAWN_MS);
  }

  #revive(): void {
    if (this.#stopping || this.#child || !this.#spec) return;
    // Should it die again before it answers, onDeath has told so.
    this.configure(this.#spec).catch(() => undefined);
  }

  /** Gives it a configuration, and starts it for the first. What is wrong with the configuration; nothing was changed then. */
  async configure(spec: VrrpSpec): Promise<readonly string[]> {
    const fresh = this.#child === undefined;
    if (fresh) this.#start();
    const answer = new Promise<FromVrrp>((resolve, reject) => {
      this.#configuring.push({ resolve, reject });
    });
    this.#send({ kind: "configure", spec, options: this.#options });
    for (const result of fresh ? this.#tracked.values() : []) this.#send(result);
    const message = await answer;
    const problems = message.kind === "configured" ? message.problems : [];
    if (problems.length === 0) this.#spec = spec;
    return problems;
  }

  /** A result of something tracked. */
  track(result: TrackResult): void {
    this.#tracked.set(`${result.item} ${result.name}`, result);
    this.#send(result);
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
    const child = this.#child;
    if (!child) return;
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.#send({ kind: "stop", addresses });
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await exited;
    clearTimeout(timer);
  }
}
