/**
 * The real servers of a virtual server, in the order of the configuration. Never changed: replacing one of ten thousand gives another
 * roster, and copies a few hundred references.
 * @module
 */
import type { ServerHealth } from "./real-server.ts";

/** References that are copied together; with 10,000 servers there are 79 such parts. */
const PART = 128;

/** See the module's description. */
export class Roster implements Iterable<ServerHealth> {
  readonly #parts: readonly (readonly ServerHealth[])[];
  /** Shared by all rosters of one configuration: places do not change. */
  readonly #places: ReadonlyMap<string, number>;
  #all: readonly ServerHealth[] | undefined;

  private constructor(
    parts: readonly (readonly ServerHealth[])[],
    places: ReadonlyMap<string, number>,
    all: readonly ServerHealth[] | undefined,
  ) {
    this.#parts = parts;
    this.#places = places;
    this.#all = all;
  }

  static of(servers: readonly ServerHealth[]): Roster {
    const parts: ServerHealth[][] = [];
    for (let from = 0; from < servers.length; from += PART) parts.push(servers.slice(from, from + PART));
    return new Roster(parts, new Map(servers.map((s, i) => [s.key, i])), servers);
  }

  /** All of them. */
  get all(): readonly ServerHealth[] {
    this.#all ??= this.#parts.flat();
    return this.#all;
  }

  [Symbol.iterator](): Iterator<ServerHealth> {
    return this.all[Symbol.iterator]();
  }

  /** The one at a place, counted from 0. */
  at(place: number): ServerHealth | undefined {
    return this.#parts[Math.floor(place / PART)]?.[place % PART];
  }

  /** The one with a key. */
  get(key: string): ServerHealth | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.at(place);
  }

  /** The same with another server in the place of the one with its key; itself when there is none. */
  with(server: ServerHealth): Roster {
    const place = this.#places.get(server.key);
    if (place === undefined) return this;
    const parts = this.#parts.slice();
    const at = Math.floor(place / PART);
    const part = this.#parts[at]!.slice();
    part[place % PART] = server;
    parts[at] = part;
    return new Roster(parts, this.#places, undefined);
  }
}
