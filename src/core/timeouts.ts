/**
 * The three timeouts that `ipvsadm --set` knows.
 * @module
 */

/** Seconds; 0 in a request means "keep". */
export interface Timeouts {
  /** TCP ESTABLISHED. */
  readonly tcp: number;
  /** TCP FIN_WAIT. */
  readonly tcpFin: number;
  readonly udp: number;
}

/** The kernel's defaults. */
export const DEFAULT_TIMEOUTS: Timeouts = { tcp: 900, tcpFin: 120, udp: 300 };

/** Largest value a timeout can be set to, in seconds: floor((2^31 - 1) / HZ) with HZ = 250. */
export const MAX_TIMEOUT_S = 8589934;
