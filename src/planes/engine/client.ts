/**
 * The engine plane as commands see it: requests over the unix socket of this namespace's engine, which is started by the
 * first request that changes something. Loads nothing that a listing does not need.
 * @module
 */
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import type { ConnectionStatus } from "../../core/connection.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { DestinationId, DestinationSpec } from "../../core/destination.ts";
import { TableError, type TableErrorCode, UnsupportedError } from "../../core/errors.ts";
import { type ServiceId, type ServiceSpec, type ServiceStatus, serviceKey } from "../../core/service.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../core/settings.ts";
import { DEFAULT_TIMEOUTS, type Timeouts } from "../../core/timeouts.ts";
import type { DataPlane, PlaneInfo } from "../plane.ts";
import type { SyncStatus } from "../sync/status.ts";
import { type EnginePaths, enginePaths } from "./paths.ts";
import type { Answer, EngineStatus } from "./protocol.ts";

const NOTHING_YET: PlaneInfo = { version: 0x010201, tableSize: 4096 };
const ATTEMPTS = 3;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  /** Parts of an answer that comes in several. */
  parts: unknown[] | undefined;
}

/** Where the connection to the engine broke before an answer came. */
class Disconnected extends Error {
  /** Something had been answered on that connection. */
  readonly served: boolean;
  constructor(served: boolean) {
    super("the engine ended before it answered");
    this.served = served;
  }
}

/** One connection to an engine. */
class Channel {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #rest: string[] = [];
  #nextId = 1;
  #served = false;
  readonly #onLost: () => void;
  closed = false;

  /** @param onLost told when the other end has closed it */
  constructor(socket: Socket, onLost: () => void) {
    this.#socket = socket;
    this.#onLost = onLost;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#read(text));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#lost());
    socket.on("end", () => socket.destroy());
  }

  #read(text: string): void {
    // Long answers come in many pieces: joined once, when their end is there.
    this.#rest.push(text);
    if (!text.includes("\n")) return;
    const lines = this.#rest.join("").split("\n");
    this.#rest = [lines.pop()!];
    for (const line of lines) this.#take(JSON.parse(line) as Answer);
  }

  #take(answer: Answer): void {
    this.#served = true;
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    if ("value" in answer && answer.more) {
      waiting.parts ??= [];
      waiting.parts.push(...(answer.value as unknown[]));
      return;
    }
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#socket.unref();
    if ("error" in answer) {
      const { code, message } = answer.error;
      waiting.reject(code === "EUNSUPPORTED" ? new UnsupportedError(message) : new TableError(code, message));
    } else {
      waiting.resolve(waiting.parts ? [...waiting.parts, ...(answer.value as unknown[])] : answer.value);
    }
  }

  #lost(): void {
    this.closed = true;
    const error = new Disconnected(this.#served);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.#onLost();
  }

  ask(method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new Disconnected(false));
        return;
      }
      const id = this.#nextId++;
      if (this.#waiting.size === 0) this.#socket.ref();
      this.#waiting.set(id, { resolve, reject, parts: undefined });
      this.#socket.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Options of {@link engineClient}. */
export interface EngineClientOptions {
  /** Files of the engine. @default those of this namespace */
  readonly paths?: EnginePaths;
  /** Whether changes may start an engine. @default true */
  readonly start?: boolean;
}

/** The plane. Nothing is opened or started before the first request. */
export function engineClient(options: EngineClientOptions = {}): EngineClient {
  return new EngineClient(options);
}

/** {@link DataPlane} over the engine's socket, and what only the engine has. */
export class EngineClient implements DataPlane {
  readonly name = "engine";
  readonly #paths: EnginePaths;
  readonly #start: boolean;
  #channel: Promise<Channel | undefined> | undefined;
  #onLost: () => void = () => {};
  #closed = false;

  constructor(options: EngineClientOptions) {
    if (process.geteuid?.() !== 0)
      throw new TableError("EPERM", "the engine's socket is root's: run this as root, or with sudo");
    this.#paths = options.paths ?? enginePaths();
    this.#start = options.start ?? true;
  }

  async #connect(start: boolean): Promise<Channel | undefined> {
    const { connect } = await import("node:net");
    const open = (): Promise<Channel | undefined> =>
      new Promise((resolve, reject) => {
        const socket = connect(this.#paths.socket);
        socket.once("connect", () => resolve(new Channel(socket, () => !this.#closed && this.#onLost())));
        socket.once("error", (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
          else reject(new TableError("EIO", `connect to the engine: ${error.message}`));
        });
      });
    const channel = existsSync(this.#paths.socket) ? await open() : undefined;
    if (channel) return channel;
    // Rules without an engine are those of one that was killed: even a listing has it come back.
    if (!this.#start || !(start || existsSync(this.#paths.rules))) return undefined;
    const { startEngine } = await import("./start.ts");
    await startEngine(this.#paths);
    return await open();
  }

  /** Asks; `otherwise` is the answer when there is no engine and none is to be started. */
  async #ask<T>(method: string, args: readonly unknown[], start: boolean, otherwise?: () => T): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.#channel ??= this.#connect(start);
      const mine = this.#channel;
      const channel = await mine;
      if (!channel || channel.closed) {
        if (this.#channel === mine) this.#channel = undefined;
        if (!channel && !start && otherwise) return otherwise();
        if (!channel && !start)
          throw new TableError("ESRCH", "no engine is running in this network namespace");
        if (attempt >= ATTEMPTS) throw new TableError("EIO", "the engine does not stay up; its log says why");
        continue;
      }
      try {
        return (await channel.ask(method, args)) as T;
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
        if (this.#channel === mine) this.#channel = undefined;
        // An engine that was just ending read nothing of it: the next one will.
        if (error.served || attempt >= ATTEMPTS) throw new TableError("EIO", error.message);
      }
    }
  }

  #change(method: string, ...args: readonly unknown[]): Promise<void> {
    return this.#ask(method, args, true);
  }

  info(): Promise<PlaneInfo> {
    return this.#ask("info", [], false, () => NOTHING_YET);
  }
  services(): Promise<ServiceStatus[]> {
    return this.#ask("services", [], false, () => []);
  }
  service(id: ServiceId): Promise<ServiceStatus> {
    return this.#ask("service", [id], false, () => missing(id));
  }
  addService(spec: ServiceSpec): Promise<void> {
    return this.#change("addService", spec);
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.#unlessAbsent(spec.id, "editService", spec);
  }
  removeService(id: ServiceId): Promise<void> {
    return this.#unlessAbsent(id, "removeService", id);
  }
  flush(): Promise<void> {
    return this.#ask("flush", [], false, () => undefined);
  }
  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#unlessAbsent(service, "addDestination", service, spec);
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#unlessAbsent(service, "editDestination", service, spec);
  }
  removeDestination(service: ServiceId, id: DestinationId): Promise<void> {
    return this.#unlessAbsent(service, "removeDestination", service, id);
  }
  zero(service?: ServiceId): Promise<void> {
    if (service) return this.#unlessAbsent(service, "zero", service);
    return this.#ask("zero", [], false, () => undefined);
  }
  timeouts(): Promise<Timeouts> {
    return this.#ask("timeouts", [], false, () => DEFAULT_TIMEOUTS);
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.#change("setTimeouts", timeouts);
  }
  daemons(): Promise<DaemonStatus[]> {
    return this.#ask("daemons", [], false, () => []);
  }
  startDaemon(spec: DaemonSpec): Promise<void> {
    return this.#change("startDaemon", spec);
  }
  stopDaemon(state: DaemonState): Promise<void> {
    return this.#change("stopDaemon", state);
  }
  async syncStatus(): Promise<SyncStatus | undefined> {
    return (await this.status())?.sync;
  }
  expectTable(): Promise<void> {
    return this.#ask("expectTable", [], false, () => undefined);
  }
  settings(): Promise<Settings> {
    return this.#ask("settings", [], false, () => ({ ...DEFAULT_SETTINGS }));
  }
  setSettings(change: Partial<Settings>): Promise<void> {
    return this.#change("setSettings", change);
  }

  async *connections(): AsyncIterable<ConnectionStatus> {
    yield* await this.#ask<ConnectionStatus[]>("connections", [], false, () => []);
  }

  /** What the engine is doing; undefined when none runs. */
  status(): Promise<EngineStatus | undefined> {
    return this.#ask<EngineStatus | undefined>("status", [], false, () => undefined);
  }
  /** Ends the engine and forgets its rules; false when none runs. */
  async stop(): Promise<boolean> {
    return await this.#ask<unknown>("stop", [], false, () => "none").then((answer) => answer !== "none");
  }
  /** Makes the engine answer ARP or NDP for a VIP that is on no interface. */
  announce(address: string, device: string): Promise<void> {
    return this.#change("announce", address, device);
  }
  withdraw(address: string): Promise<void> {
    return this.#ask("withdraw", [address], false);
  }

  /** A change of a service that cannot be there when no engine is: refused as the engine would refuse it. */
  #unlessAbsent(id: ServiceId, method: string, ...args: readonly unknown[]): Promise<void> {
    return this.#ask(method, args, false, () => missing(id));
  }

  onLost(lost: () => void): void {
    this.#onLost = lost;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const channel = await this.#channel?.catch(() => undefined);
    channel?.close();
    this.#channel = undefined;
  }
}

const ABSENT: TableErrorCode = "ESRCH";

function missing(id: ServiceId): never {
  throw new TableError(ABSENT, `there is no service ${serviceKey(id)}: the table is empty`);
}
