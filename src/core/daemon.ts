/**
 * Connection synchronisation daemons as the control interface sees them.
 * @module
 */

/** Which of the two daemons. */
export type DaemonState = "master" | "backup";

/** What `--start-daemon` asks for; 0 and "" stand for the default. */
export interface DaemonSpec {
  readonly state: DaemonState;
  /** Interface name, 1..15 bytes. */
  readonly interface: string;
  /** 0..255. */
  readonly syncId: number;
  /** Largest payload in bytes, 0 for the default. */
  readonly maxLen: number;
  /** Multicast group, canonical text, "" for 224.0.0.81. */
  readonly group: string;
  /** UDP port, 0 for 8848. */
  readonly port: number;
  /** TTL or hop limit, 0 for 1. */
  readonly ttl: number;
}

/** A running daemon: as {@link DaemonSpec} with every default filled in. */
export type DaemonStatus = DaemonSpec;
