/**
 * The director's view of a UDP exchange: one state, "UDP", that every packet, either way, renews
 * (`net/netfilter/ipvs/ip_vs_proto_udp.c`). Such connections never count as active.
 * @module
 */

/** Default timeouts by state number (there is only 0), milliseconds. */
export const UDP_TIMEOUT_MS: readonly number[] = [300_000];
