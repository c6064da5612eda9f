/**
 * The pure pieces of the defence strategies: automatic modes, thinning of new packets, which idle connections may go
 * (`update_defense_level` in `ip_vs_ctl.c`, `todrop_entry` in `ip_vs_conn.c`).
 * @module
 */

/** What an automatic mode comes to. */
export interface Level {
  /** The strategy is on. */
  readonly on: boolean;
  /** New value of the setting. */
  readonly mode: number;
}

/** Mode 0 is off, 3 is on, 1 and 2 follow the memory and become each other. */
export function level(mode: number, short: boolean): Level {
  if (mode === 0) return { on: false, mode };
  if (mode === 3) return { on: true, mode };
  return short ? { on: true, mode: 2 } : { on: false, mode: 1 };
}

/** Drops every `rate`-th packet that would be scheduled; 0 drops none. */
export class PacketDropper {
  private rate = 0;
  private counter = 0;

  /** Sets the rate; a change starts the count anew, with a drop first. */
  setRate(rate: number): void {
    if (rate === this.rate) return;
    this.rate = rate;
    this.counter = 0;
  }

  shouldDrop(): boolean {
    if (this.rate === 0) return false;
    if (this.counter > 0) {
      this.counter--;
      return false;
    }
    this.counter = this.rate - 1;
    return true;
  }
}

/** Shortest idle time of a connection that may be dropped, ms. */
const IDLE_MS = 60_000;
const MOST_PACKETS = 8;

/** Which idle connections go: of those with n packets (1..8) the first and then every n-th that is asked about. */
export class EntryDropper {
  /** How many are still spared, by number of packets. */
  private readonly spared = new Int32Array(MOST_PACKETS + 1);

  /** @param idleMs time since its last packet */
  shouldDrop(idleMs: number, inPackets: number): boolean {
    if (idleMs < IDLE_MS || inPackets < 1 || inPackets > MOST_PACKETS) return false;
    if (this.spared[inPackets] > 0) {
      this.spared[inPackets]--;
      return false;
    }
    this.spared[inPackets] = inPackets - 1;
    return true;
  }
}
