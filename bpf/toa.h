/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What full-NAT does to TCP segments beside their addresses (core/forward/fullnat.ts): sequence numbers of the director's own, no time
 * stamps, and the client's address in an option (TOA, kind 254) of the segments that open a connection.
 */
#pragma once

#include "random.h"
#include "sequence.h"

#define OPTION_MSS 2
#define OPTION_TIMESTAMPS 8
#define OPTION_TOA 254
#define TIMESTAMPS_LENGTH 10

/* Bytes of the option. */
INLINE __u32 toa_length(__u32 family)
{
	return family == 4 ? 8 : 20;
}

/* Time stamps of many clients behind one address would confuse the server: they become no-operations. */
SHARED int hide_timestamps(packet *p, struct work *w)
{
	struct {
		__u8 byte[TIMESTAMPS_LENGTH];
		__u16 zero;
	} old = {}, hidden = {};
	__u8 length = 0;
	__u32 at;

	if (!w)
		return 1;
	at = find_option(p, w, OPTION_TIMESTAMPS);
	if (!at || PEEK(p, at + 1, &length, 1) || length != TIMESTAMPS_LENGTH || PEEK(p, at, &old, TIMESTAMPS_LENGTH))
		return 0;
	__builtin_memset(hidden.byte, OPTION_NOP, TIMESTAMPS_LENGTH);
	if (POKE(p, at, &hidden, TIMESTAMPS_LENGTH))
		return 1;
	return add_difference(p, w, at, (__u32)bpf_csum_diff((__be32 *)&old, 12, (__be32 *)&hidden, 12, 0));
}

/* Room for the option in the segments that carry it. */
SHARED int lower_mss(packet *p, struct work *w)
{
	__u8 length = 0;
	__u16 old, mss;
	__u32 at;

	if (!w)
		return 1;
	at = find_option(p, w, OPTION_MSS);
	if (!at || PEEK(p, at + 1, &length, 1) || length != 4 || PEEK(p, at + 2, &old, 2))
		return 0;
	mss = bpf_ntohs(old);
	mss = mss > toa_length(w->family) ? mss - toa_length(w->family) : 0;
	mss = bpf_htons(mss);
	if (POKE(p, at + 2, &mss, 2))
		return 1;
	return add_difference(p, w, at + 2, (__u64)(__u16)~old + mss);
}

/* Puts the client's address before the other options, unless it does not fit. */
SHARED int add_address(packet *p, struct work *w, __u32 mtu)
{
	struct {
		__u8 kind;
		__u8 length;
		__be16 port;
		__be32 address[4];
	} toa = {};
	__u32 size, header, at;
	__u8 old, offset;
	__u64 sum;

	if (!w)
		return 1;
	size = toa_length(w->family);
	header = tcp_header(p, w);
	at = w->l4 + TCP_HEADER;
	if (!header || header + size > TCP_MOST_HEADER || w->length + size > mtu || (w->flow & FLOW_FRAGMENT))
		return 0;
	if (insert_bytes(p, w, at, size) || PEEK(p, w->l4 + 12, &old, 1))
		return 1;
	toa.kind = OPTION_TOA;
	toa.length = size;
	toa.port = w->sport;
	copy_address(toa.address, w->saddr);
	offset = (old & 15) | (header + size) / 4 << 4;
	if (w->family == 4 ? POKE(p, at, &toa, 8) : POKE(p, at, &toa, 20))
		return 1;
	if (POKE(p, w->l4 + 12, &offset, 1))
		return 1;
	/* Unused words are zeros, which sum up to nothing. */
	sum = (__u64)(__u32)bpf_csum_diff(0, 0, (__be32 *)&toa, sizeof(toa), 0) + (__u16)~old + offset;
	return add_difference(p, w, at, sum);
}

/* A request, before its addresses are rewritten; `mtu` limits what the option may add. Not 0: it could not be changed. */
SHARED int fullnat_request(packet *p, struct work *w, __u32 mtu)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct config *g = the_config();
	__u32 opening, seq;

	if (!c || !g || !tcp_header(p, w))
		return 0;
	opening = (w->l4_first & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	seq = tcp_word(p, w, 4);
	if (opening) {
		if (hide_timestamps(p, w))
			return 1;
		/* A retransmitted SYN keeps its number. */
		if (!READ_ONCE(c->seq_delta))
			WRITE_ONCE(c->seq_delta, (__u32)chance(w->test, 1ULL << 32) - seq);
	}
	if (c->seq_delta && shift_number(p, w, w->l4 + 4, c->seq_delta))
		return 1;
	/* The handshake's ACK, and what the client sends before it acknowledged data. */
	if (!(g->settings & SETTING_FULLNAT_TOA) || (w->l4_first & (TCP_SYN | TCP_RST)) || !(w->l4_first & TCP_ACK))
		return 0;
	if (!(c->marks & CONN_MARK_SERVER_ISN) || tcp_word(p, w, 8) != READ_ONCE(c->server_isn))
		return 0;
	return add_address(p, w, mtu);
}

/* A reply, before its addresses are rewritten. */
SHARED int fullnat_reply(packet *p, struct work *w)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct config *g = the_config();
	struct shift s = {};

	if (!c || !g || !tcp_header(p, w))
		return 0;
	s.delta = s.previous = c->seq_delta;
	if (unshift_acks(p, w, &s))
		return 1;
	if ((w->l4_first & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
		return 0;
	WRITE_ONCE(c->server_isn, tcp_word(p, w, 4) + 1);
	c->marks |= CONN_MARK_SERVER_ISN;
	return g->settings & SETTING_FULLNAT_TOA ? lower_mss(p, w) : 0;
}
