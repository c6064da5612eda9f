/**
 * Reads and changes one namespace's rules: alone under its lock, from the journal, with what is in the namespace in line with them.
 * A change goes through the table, which may refuse it, into the journal, into the maps, in this order.
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { TableError, UnsupportedError } from "../../core/errors.ts";
import { bootId } from "../../sys/boot-id.ts";
import { SysError } from "../../sys/libc.ts";
import { lock } from "../../sys/lock.ts";
import { applyOperation } from "./apply.ts";
import { CounterReader } from "./counters.ts";
import { Journal } from "./journal.ts";
import { RulesHost } from "./machine.ts";
import type { Operation } from "./operation.ts";
import type { EbpfPaths } from "./paths.ts";
import { Presence } from "./presence.ts";
import { withWayOut } from "./refusals.ts";
import { Rules } from "./rules.ts";

/** The trash is looked through again after this long, ms. */
const UPKEEP_AGAIN_MS = 1000;

/** One namespace's rules, for one process. */
export class RuleKeeper {
  readonly #paths: EbpfPaths;
  readonly #journal: Journal;
  readonly #host = new RulesHost();
  readonly #step: (step: string) => void;
  readonly #afterwards: (rules: Rules) => Promise<void>;
  /** What is in the namespace; while {@link alone} works, in line with the rules. */
  readonly presence: Presence;
  #rules: Rules | undefined;
  #keptUpAt = Number.NEGATIVE_INFINITY;

  /** @param afterwards what is to be done when rules were looked at or changed, and others may look again */
  constructor(
    paths: EbpfPaths,
    onStep: (step: string) => void,
    afterwards: (rules: Rules) => Promise<void> = async () => {},
  ) {
    this.#afterwards = afterwards;
    this.#paths = paths;
    this.#step = onStep;
    this.#journal = new Journal(paths.rules, bootId(), paths.cookie);
    this.presence = new Presence(paths, this.#host, onStep);
  }

  /** Works with the rules as they are now, alone. */
  async alone<T>(work: (rules: Rules) => T | Promise<T>): Promise<T> {
    const unlock = await this.#lock();
    let result: T;
    let rules: Rules;
    try {
      rules = await this.#refresh();
      result = await work(rules);
    } catch (error) {
      throw error instanceof SysError && error.code === "EPERM"
        ? new TableError("EPERM", `${error.message}: BPF needs CAP_BPF and CAP_NET_ADMIN`)
        : error;
    } finally {
      // Nothing was made, or all is gone.
      if (!this.#journal.exists && !this.presence.installed) this.#removeFiles();
      unlock();
    }
    // Who clears the table forgets the rules, but for the daemons.
    await this.#afterwards(this.#rules ?? rules);
    return result;
  }

  /** What a reader gets; `otherwise` without touching anything when there are no rules. */
  async read<T>(otherwise: () => T, work: (rules: Rules) => T | Promise<T>): Promise<T> {
    if (!this.#journal.exists) return otherwise();
    return this.alone(async (rules) => {
      await this.presence.hookNew(rules);
      return work(rules);
    });
  }

  /** Rules and settings as they are where nobody made any. */
  none(): Rules {
    return new Rules(this.#host);
  }

  async #lock(): Promise<() => void> {
    mkdirSync(this.#paths.run, { recursive: true, mode: 0o755 });
    return lock(this.#paths.lock);
  }

  /** The rules as the journal has them, and the maps in line with them. */
  async #refresh(): Promise<Rules> {
    const { presence } = this;
    const current = this.#journal.current && presence.current;
    if (this.#rules && current && (!this.#rules.inUse || presence.maps)) return this.#rules;
    this.#forget();
    const reading = this.#journal.read();
    const rules = this.#replay(reading?.operations ?? []);
    this.#rules = rules;
    await presence.mend();
    if (presence.installed && this.#cleared(rules) && reading?.applied !== true) {
      // Clearing was cut short.
      await presence.remove();
      if (rules.isDefault) {
        this.#journal.remove();
        return rules;
      }
    } else if (presence.installed) {
      // First, since maps of another shape must not be written.
      await presence.renew(rules);
      if (reading?.applied !== true) await presence.everything(rules);
    } else if (rules.inUse) {
      await presence.install(rules);
    }
    if (reading && !reading.applied) this.#journal.applied();
    if (presence.installed) presence.open();
    return rules;
  }

  /** Whether nothing needs maps any more: no services or daemons, and no destinations that connections could be on. */
  readonly #cleared = ({ table, inUse }: Rules): boolean => !inUse && table.trashed().length === 0;

  /** Rules from what was accepted once. */
  #replay(operations: readonly Operation[]): Rules {
    const rules = new Rules(this.#host);
    this.#host.replaying = true;
    try {
      for (const operation of operations) rules.apply(operation);
    } finally {
      this.#host.replaying = false;
    }
    return rules;
  }

  /** Everything in memory is as it was before anything was read. */
  #forget(): void {
    this.presence.close();
    this.#rules = undefined;
  }

  /** Changes the rules: all of the operations or none. @throws TableError, UnsupportedError when one of them is refused */
  async change(operations: (rules: Rules) => readonly Operation[]): Promise<void> {
    await this.alone(async (rules) => {
      const noRules = rules.table.empty;
      try {
        await this.#change(rules, operations);
      } catch (error) {
        throw error instanceof UnsupportedError ? withWayOut(error, noRules) : error;
      }
    });
  }

  async #change(rules: Rules, operations: (rules: Rules) => readonly Operation[]): Promise<void> {
    const upkeep = this.#upkeep(rules);
    const wanted = operations(rules);
    let made = 0;
    const all = [...upkeep, ...wanted];
    const mirrored: (() => void)[] = [];
    try {
      for (const operation of all) {
        mirrored.push(applyOperation(rules, operation, () => this.presence.mirror(rules)));
        made++;
      }
    } catch (error) {
      // Refused, and nothing was written: what came before it in this change is forgotten with the rules in memory.
      if (made > 0) this.#forget();
      throw error;
    }
    await this.#commit(rules, all, mirrored);
  }

  async #commit(rules: Rules, all: readonly Operation[], mirrored: readonly (() => void)[]): Promise<void> {
    const { presence } = this;
    const before = presence.installed;
    const size = this.#note(all);
    try {
      if (rules.inUse && !presence.installed) {
        await presence.install(rules);
      } else if (presence.installed) {
        for (const [i, mirror] of mirrored.entries()) {
          this.#step(`mirror ${all[i]!.op}`);
          mirror();
        }
        await presence.hookAgain(rules);
      }
    } catch (error) {
      // The maps could not take it: back to what they had.
      this.#journal.undo(size);
      this.#forget();
      const rules = this.#replay(this.#journal.read()?.operations ?? []);
      // What this change brought goes with it; what cannot be taken away now, the next command finds without rules.
      if (!before) await presence.remove().catch(() => undefined);
      if (presence.installed) {
        this.#rules = rules;
        presence.mirror(rules).everything();
      }
      if (!before && rules.isDefault) this.#journal.remove();
      throw error;
    }
    this.#step("applied");
    if (this.#journal.overgrown(rules.size)) this.#journal.rewrite(rules.operations(), true);
    else this.#journal.applied();
  }

  /** Writes a change into the journal. @returns the size to which {@link Journal.undo} goes back */
  #note(all: readonly Operation[]): number {
    try {
      if (!this.#journal.current) this.#journal.rewrite([], true);
      const { size } = this.#journal;
      this.#step("journal");
      this.#journal.append(all);
      return size;
    } catch (error) {
      // A full disk: it was never agreed to, and must not be in memory either.
      this.#forget();
      throw error;
    }
  }

  /** What time does to the trash. */
  #upkeep(rules: Rules): Operation[] {
    if (rules.table.trashed().length === 0) return [];
    if (performance.now() - this.#keptUpAt < UPKEEP_AGAIN_MS || !this.presence.installed) return [];
    this.#keptUpAt = performance.now();
    const counters = new CounterReader(this.presence.open());
    const referenced = (id: number): boolean => {
      const { active, inactive, persistent } = counters.load(id);
      return active + inactive + persistent > 0;
    };
    return rules.upkeep(referenced, Math.floor(Number(process.hrtime.bigint() / 1_000_000n)));
  }

  /** Removes all services, and with them every map, program and hook, with all connections. Settings and sync daemons stay. */
  flush(): Promise<void> {
    return this.#flush(() => true);
  }

  /** {@link flush} if nothing needs maps any more, which another command may have changed meanwhile. */
  clear(): Promise<void> {
    return this.#flush(this.#cleared);
  }

  async #flush(wanted: (rules: Rules) => boolean): Promise<void> {
    await this.read(
      () => undefined,
      async (rules) => {
        if (!wanted(rules)) return;
        const rest = rules.operations().filter(({ op }) => !/Service$|Destination$|^idle$/.test(op));
        this.#step("journal");
        this.#journal.rewrite(rest, false);
        await this.presence.remove();
        this.#step("applied");
        this.#forget();
        const left = this.#replay(rest);
        if (left.isDefault) {
          this.#removeFiles();
          return;
        }
        if (left.inUse) await this.presence.install(left);
        this.#journal.applied();
      },
    );
  }

  /** Removes everything, without reading it. */
  async reset(): Promise<void> {
    const unlock = await this.#lock();
    try {
      this.#forget();
      this.#journal.remove();
      await this.presence.remove();
      this.#removeFiles();
    } finally {
      unlock();
    }
  }

  /** Nothing of this namespace is left. Call with its lock held. */
  #removeFiles(): void {
    this.#journal.remove();
    rmSync(this.#paths.lock, { force: true });
  }

  /** Releases what this process holds. */
  close(): void {
    this.#forget();
    this.#journal.close();
    this.#host.close();
  }
}
