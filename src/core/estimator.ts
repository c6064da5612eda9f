/**
 * Counters and the rate estimator (`net/netfilter/ipvs/ip_vs_est.c`): live counters for the packet path, a snapshot of every
 * 2 s for readers, rates with an exponential weight of 1/4.
 * @module
 */
import type { Counters } from "./service.ts";

/** Fixed point of the connection and packet rates: 2^10 = one a second, a slot being 2 s. */
const PACKET_SHIFT = 10;
/** Fixed point of the byte rates. */
const BYTE_SHIFT = 5;

const NAMES = ["conns", "inPackets", "outPackets", "inBytes", "outBytes"] as const;
type Name = (typeof NAMES)[number];
type Values = Record<Name, number>;

const zeros = (): Values => ({ conns: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 });
const shiftOf = (name: Name): number => (name.endsWith("Bytes") ? BYTE_SHIFT : PACKET_SHIFT);

/** Counters of a destination, a service, or everything. The packet path adds to the public fields. */
export class Meter implements Values {
  conns = 0;
  inPackets = 0;
  outPackets = 0;
  /** IP packet lengths. 2^53 bytes is 8 days at 100 Gbit/s without loss of a byte, then the last bits blur. */
  inBytes = 0;
  outBytes = 0;
  private readonly seen = zeros();
  private readonly base = zeros();
  private readonly rate = zeros();

  /** Ends a slot of 2 s: readers see what was counted until now, rates move by a quarter towards it. */
  estimate(): void {
    for (const name of NAMES) {
      const scaled = (this[name] - this.seen[name]) * 2 ** (shiftOf(name) - 1);
      this.seen[name] = this[name];
      this.rate[name] += Math.floor((scaled - this.rate[name]) / 4);
    }
  }

  /** Readers start from zero again; what was counted since the last slot shows with the next. */
  zero(): void {
    for (const name of NAMES) {
      this.base[name] = this.seen[name];
      this.rate[name] = 0;
    }
  }

  /** What readers see. */
  read(): Counters {
    const { seen, base } = this;
    return {
      conns: seen.conns - base.conns,
      inPackets: seen.inPackets - base.inPackets,
      outPackets: seen.outPackets - base.outPackets,
      inBytes: seen.inBytes - base.inBytes,
      outBytes: seen.outBytes - base.outBytes,
      cps: this.shown("conns"),
      inPps: this.shown("inPackets"),
      outPps: this.shown("outPackets"),
      inBps: this.shown("inBytes"),
      outBps: this.shown("outBytes"),
    };
  }

  private shown(name: Name): number {
    const unit = 2 ** shiftOf(name);
    return Math.floor((this.rate[name] + unit / 2 - 1) / unit);
  }
}
