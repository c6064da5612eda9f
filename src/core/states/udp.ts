/**
 * The director's view of a UDP exchange: one state that every packet, either way, renews
 * (`net/netfilter/ipvs/ip_vs_proto_udp.c`). Such connections never count as active.
 * @module
 */

/** State numbers, as in sync messages. */
export const UDP_STATE = { NORMAL: 0 } as const;

/** Names by state number, as the connection table prints them. */
export const UDP_STATE_NAMES: readonly string[] = ["UDP"];

/** Default timeouts by state number, milliseconds. */
export const UDP_TIMEOUT_MS: readonly number[] = [300_000];

/** Never: only TCP and SCTP know when somebody is at the other end. */
export const udpActive = (_state: number): boolean => false;
