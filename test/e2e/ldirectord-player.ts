/**
 * Plays scenarios of ldirectord (`test/golden/ldirectord/*.events`) on a stage: after every step the table must become what is expected,
 * and stay it.
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { LdirectordStage, Outcome } from "./ldirectord-stage.ts";
import { slowness } from "./planes.ts";

/** Where scenarios and their configurations are. */
export const folder = join(process.cwd(), "test/golden/ldirectord");

interface Expected {
  readonly table?: readonly string[];
  readonly result?: { readonly rc: number };
  readonly requests?: Readonly<Record<string, readonly string[]>>;
  readonly mail?: readonly string[];
  readonly cat?: Readonly<Record<string, readonly string[]>>;
}

interface Step {
  readonly do: string;
  readonly ep?: string | readonly string[];
  readonly to?: object;
  readonly file?: string;
  readonly then?: string;
  readonly path?: string;
  readonly args?: string;
  readonly sig?: NodeJS.Signals;
  readonly s?: number;
  readonly requests?: boolean;
  readonly mail?: boolean;
  readonly expect: Expected;
  /** Where we differ, and why. */
  readonly lvsd?: Expected & { readonly why: string };
}

export interface Scenario {
  readonly about: string;
  readonly config: string;
  readonly endpoints: Readonly<Record<string, { readonly addr: string; readonly kind?: string }>>;
  readonly up: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly dirs?: readonly string[];
  readonly steps: readonly Step[];
}

/** Time for a step to come true, and time for which it must stay so: more than a round of checks. */
const PATIENCE_MS = 40_000 * slowness;
const STAY_MS = 1200;

/** @throws with both, when they are not equal */
function same(got: unknown, wanted: unknown, what: string): void {
  const show = (value: unknown): string => JSON.stringify(value, null, 1);
  assert(isDeepStrictEqual(got, wanted), `${what}\ngot ${show(got)}\nwanted ${show(wanted)}`);
}

const COMMANDS = ["start", "stop", "restart", "try-restart", "reload", "force-reload", "status"];

/** Plays one scenario. */
export class Player {
  readonly stage: LdirectordStage;
  readonly scenario: Scenario;
  /** Path of the configuration on the stage. */
  readonly cf: string;

  constructor(stage: LdirectordStage, scenario: Scenario, prefix = "") {
    this.stage = stage;
    this.scenario = scenario;
    this.cf = stage.path(`${prefix}${scenario.config}`);
  }

  /** The scenario of a name. */
  static read(name: string): Scenario {
    return JSON.parse(readFileSync(join(folder, `${name}.events`), "utf8")) as Scenario;
  }

  async play(): Promise<void> {
    const { stage, scenario } = this;
    for (const name of scenario.dirs ?? []) stage.makeFolder(name);
    for (const [name, text] of Object.entries(scenario.files ?? {})) stage.write(name, text, true);
    this.#configure(scenario.config);
    await stage.serve(scenario.endpoints);
    for (const name of scenario.up) await stage.order({ do: "up", name });
    for (const [i, step] of scenario.steps.entries()) {
      const { expect: _, lvsd: __, ...words } = step;
      await this.#step(step, `step ${i + 1} ${JSON.stringify(words)}`);
    }
  }

  #configure(file: string): void {
    this.stage.configure(basename(this.cf), readFileSync(join(folder, file), "utf8"));
  }

  async #step(step: Step, what: string): Promise<void> {
    const wanted: Expected = { ...step.expect, ...step.lvsd };
    await this.stage.order({ do: "requests" });
    const outcome = await this.#do(step);
    if (outcome !== undefined && wanted.result !== undefined) {
      assert.equal(outcome.rc, wanted.result.rc, `${what}: ${outcome.err}`);
    }
    if (wanted.table !== undefined) await this.#settled(wanted.table, what);
    for (const [file, lines] of Object.entries(wanted.cat ?? {})) {
      await this.#soon(`${what}: ${file}`, () => this.#lines(file), lines);
    }
    if (wanted.requests === undefined && wanted.mail === undefined) return;
    const asked = (await this.stage.order({ do: "requests" })) as Record<string, string[]>;
    if (wanted.requests !== undefined) {
      const distinct = Object.entries(asked).map(([name, list]) => [name, [...new Set(list)].sort()]);
      same(Object.fromEntries(distinct), wanted.requests, what);
    }
    if (wanted.mail !== undefined) {
      const subjects = (letters: readonly string[]) =>
        letters.flatMap((letter) => letter.split("\n").filter((line) => line.startsWith("Subject:"))).sort();
      const mails = Object.entries(asked).flatMap(([name, list]) =>
        this.scenario.endpoints[name]!.kind === "smtp" ? list : [],
      );
      same(subjects(mails), subjects(wanted.mail), what);
    }
  }

  #lines(file: string): string[] {
    const path = this.stage.place(file);
    return existsSync(path)
      ? readFileSync(path, "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => this.stage.unplace(line))
      : [];
  }

  async #soon<T>(what: string, ask: () => T | Promise<T>, wanted: unknown): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    const goal = JSON.stringify(wanted);
    let last = await ask();
    while (JSON.stringify(last) !== goal && Date.now() < until) {
      await sleep(200);
      last = await ask();
    }
    same(last, wanted, `${what}\n${this.stage.read("log")}`);
  }

  /** The table becomes what is wanted, and stays it. The original takes several attempts at it. */
  async #settled(wanted: readonly string[], what: string): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    const goal = JSON.stringify(wanted);
    for (;;) {
      await this.#soon(what, () => this.stage.table(), wanted);
      let stays = true;
      for (const end = Date.now() + STAY_MS; stays && Date.now() < end; ) {
        await sleep(300);
        stays = JSON.stringify(await this.stage.table()) === goal;
      }
      if (stays) return;
      if (this.stage.flickers && Date.now() < until) continue;
      same(await this.stage.table(), wanted, `${what}, a little later\n${this.stage.read("log")}`);
    }
  }

  async #do(step: Step): Promise<Outcome | undefined> {
    const { stage } = this;
    const names = typeof step.ep === "string" ? [step.ep] : (step.ep ?? []);
    if (COMMANDS.includes(step.do)) return stage.ldirectord(this.cf, step.do);
    switch (step.do) {
      case "down":
      case "up":
      case "set":
        for (const name of names) await stage.order({ do: step.do, name, to: step.to });
        return undefined;
      case "config":
        this.#configure(step.file!);
        return step.then === undefined ? undefined : stage.ldirectord(this.cf, step.then);
      case "touch":
        stage.write(step.path!.replace("@DIR@/", ""), "");
        return undefined;
      case "rm":
        await stage.run("rm", stage.place(step.path!));
        return undefined;
      case "ipvsadm":
        await stage.ipvsadm(step.args!);
        return undefined;
      case "kill":
        process.kill(Number(stage.read(`ldirectord.${basename(this.cf)}.pid`)), `SIG${step.sig}`);
        return undefined;
      case "wait":
        await sleep(step.s! * 1000);
        return undefined;
      default:
        throw new Error(`there is no step "${step.do}"`);
    }
  }
}
