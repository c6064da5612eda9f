/**
 * Counters as readers see them: the estimator's snapshots, less what was there when they were zeroed.
 * @module
 */
import type { Counters } from "../../core/service.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { DEST, ESTIMATE, LOAD } from "./layout.ts";
import type { Maps } from "./maps.ts";

/** Places behind the point of connection and packet rates, and of byte rates (`ip_vs_est.c`). */
const SHIFT = [10, 10, 10, 5, 5] as const;

type Kind = "service_estimates" | "dest_estimates";

/** What a destination holds at the moment. */
export interface Load {
  readonly active: number;
  readonly inactive: number;
  readonly persistent: number;
}

/** Reads and zeroes the counters of one namespace. */
export class CounterReader {
  readonly #maps: Maps;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  /** Counters of a service (0 = everything) or destination. */
  read(kind: Kind, number: number): Counters {
    const { view } = this.#maps.array(kind);
    const at = number * ESTIMATE.size;
    const value = (i: number): number =>
      // What was counted by programs that these took over from lies below 0.
      Number(
        BigInt.asUintN(
          64,
          view.getBigUint64(at + ESTIMATE.at.seen + 8 * i, LITTLE_ENDIAN) -
            view.getBigUint64(at + ESTIMATE.at.base + 8 * i, LITTLE_ENDIAN),
        ),
      );
    const rate = (i: number): number => {
      const unit = 2 ** SHIFT[i]!;
      const fixed = Number(view.getBigInt64(at + ESTIMATE.at.rate + 8 * i, LITTLE_ENDIAN));
      return Math.max(0, Math.floor((fixed + unit / 2 - 1) / unit));
    };
    return {
      conns: value(0),
      inPackets: value(1),
      outPackets: value(2),
      inBytes: value(3),
      outBytes: value(4),
      cps: rate(0),
      inPps: rate(1),
      outPps: rate(2),
      inBps: rate(3),
      outBps: rate(4),
    };
  }

  /** Readers start from zero again; what was counted since the last snapshot shows with the next. */
  zero(kind: Kind, number: number): void {
    const { view } = this.#maps.array(kind);
    const at = number * ESTIMATE.size;
    for (let i = 0; i < SHIFT.length; i++) {
      const seen = view.getBigUint64(at + ESTIMATE.at.seen + 8 * i, LITTLE_ENDIAN);
      view.setBigUint64(at + ESTIMATE.at.base + 8 * i, seen, LITTLE_ENDIAN);
      view.setBigUint64(at + ESTIMATE.at.rate + 8 * i, 0n, LITTLE_ENDIAN);
    }
  }

  /** Connections and templates of a destination. */
  load(number: number): Load {
    const loads = this.#maps.array("loads").view;
    const at = number * LOAD.size;
    return {
      active: loads.getUint32(at + LOAD.at.active, LITTLE_ENDIAN),
      inactive: loads.getUint32(at + LOAD.at.inactive, LITTLE_ENDIAN),
      persistent: this.#maps
        .array("dests")
        .view.getUint32(number * DEST.size + DEST.at.persistent, LITTLE_ENDIAN),
    };
  }
}
