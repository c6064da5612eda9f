/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * TCP streams whose length or numbering the director changes: sequence numbers (core/sequence.ts), options, and bytes that move.
 * Checksums follow by differences, which bpf_l4_csum_replace leaves away where the network card is to fill the checksum in.
 */
#pragma once

#include "connections.h"
#include "nat.h"

#define TCP_HEADER 20
#define TCP_MOST_HEADER 60
#define OPTION_END 0
#define OPTION_NOP 1

/* Adding to sequence numbers of a stream: `delta` behind `initial` (in the numbers of its sender), `previous` before. */
struct shift {
	__u32 initial;
	__s32 delta;
	__s32 previous;
};

/*
 * Connections under the FTP helper keep it in one word, so that no CPU sees half of a change: initial << 32 | delta << 8 | the last
 * change, signed. A stream that grows by 12 bytes with every passive transfer takes 700,000 of them.
 */
_Static_assert(__builtin_offsetof(struct conn, server_isn) == __builtin_offsetof(struct conn, seq_delta) + 4, "one word");
_Static_assert(__builtin_offsetof(struct conn, seq_delta) % 8 == 0, "one word");

INLINE __u64 *stream_of(struct conn *c)
{
	return (__u64 *)&c->seq_delta;
}

/* Whether sequence number a is after b (RFC 9293 section 3.4). */
INLINE int is_after(__u32 a, __u32 b)
{
	return (__s32)(b - a) < 0;
}

/* The shift of what the server sends; 0 = none. */
INLINE int read_shift(struct conn *c, struct shift *s)
{
	__u64 word = READ_ONCE(*stream_of(c));

	if (!(__u32)word)
		return 0;
	s->initial = word >> 32;
	s->delta = (__s32)(__u32)word >> 8;
	s->previous = s->delta - (__s32)(((__u32)word & 0xff) ^ 0x80) + 0x80;
	return 1;
}

/* Notes that the stream grows by `change` bytes behind `seq`; 0 = it was noted before. */
INLINE int note_shift(struct conn *c, __u32 seq, __s32 change)
{
	struct shift old = {};

	/* A retransmission of the segment that was changed last changes nothing. */
	if (read_shift(c, &old) && !is_after(seq, old.initial))
		return 0;
	WRITE_ONCE(*stream_of(c), (__u64)seq << 32 | (__u32)(old.delta + change) << 8 | ((__u32)change & 0xff));
	return 1;
}

/* What to add to a sequence number of the server, and what to take off an acknowledgement of what the client saw. */
INLINE __s32 shift_at(const struct shift *s, __u32 seq)
{
	return is_after(seq, s->initial) ? s->delta : s->previous;
}

INLINE __s32 shift_ack(const struct shift *s, __u32 ack)
{
	return is_after(ack - s->previous, s->initial) ? s->delta : s->previous;
}

/* --- changing segments ---------------------------------------------------------------------------------------------------- */

/* Length of the TCP header, 0 for one that cannot be. */
INLINE __u32 tcp_header(packet *p, const struct work *w)
{
	__u32 length;
	__u8 offset;

	if (w->protocol != PROTO_TCP || !(w->flow & FLOW_PORTS) || PEEK(p, w->l4 + 12, &offset, 1))
		return 0;
	length = (offset >> 4) * 4;
	return length < TCP_HEADER || w->l4 + length > w->l3 + w->length ? 0 : length;
}

INLINE __u32 tcp_word(packet *p, const struct work *w, __u32 at)
{
	__be32 word = 0;

	if (PEEK(p, w->l4 + at, &word, 4))
		return 0;
	return bpf_ntohl(word);
}

/* Bytes from `at` on changed by a sum of `difference`: so does the checksum. What begins at an odd place counts byte-swapped. */
INLINE int add_difference(packet *p, struct work *w, __u32 at, __u64 difference)
{
	__u16 sum = fold16(difference);

	if (!w)
		return 1;
	if ((at - w->l4) & 1)
		sum = sum << 8 | sum >> 8;
	return bpf_l4_csum_replace(p, checksum_at(w), 0, sum, 0) != 0;
}

/* Adds to the 32-bit number at `at`. */
SHARED int shift_number(packet *p, struct work *w, __u32 at, __u32 by)
{
	__be32 old, changed;

	if (!w || PEEK(p, at, &old, 4))
		return 1;
	changed = bpf_htonl(bpf_ntohl(old) + by);
	if (POKE(p, at, &changed, 4))
		return 1;
	return add_difference(p, w, at, (__u64)(__u32)~old + changed);
}

struct option_search {
	packet *p;
	__u32 at;
	__u32 end;
	__u32 kind;
	__u32 found;
};

static long next_option(__u32 i, void *context)
{
	struct option_search *s = context;
	__u8 kind = OPTION_END, length = 0;

	(void)i;
	if (s->at >= s->end || bpf_skb_load_bytes(s->p, s->at, &kind, 1) || kind == OPTION_END)
		return 1;
	if (kind == OPTION_NOP) {
		s->at++;
		return 0;
	}
	if (s->at + 1 >= s->end || bpf_skb_load_bytes(s->p, s->at + 1, &length, 1) || length < 2 || s->at + length > s->end)
		return 1;
	if (kind == s->kind) {
		s->found = s->at;
		return 1;
	}
	s->at += length;
	return 0;
}

/* Where the first option of that kind begins, 0 = there is none. */
INLINE __u32 find_option(packet *p, struct work *w, __u32 kind)
{
	struct option_search s = { .p = p };
	__u32 header;

	if (!w)
		return 0;
	header = tcp_header(p, w);
	if (header <= TCP_HEADER)
		return 0;
	s.at = w->l4 + TCP_HEADER + w->zero;
	s.end = w->l4 + header;
	s.kind = kind;
	s.found = w->zero;
	bpf_loop(TCP_MOST_HEADER - TCP_HEADER, next_option, &s, 0);
	return s.found;
}

#define OPTION_SACK 5
/* Edges of blocks that fit in. */
#define SACK_EDGES 9

/* Takes the shift off the number at `at`, which speaks of what its sender saw. */
SHARED int unshift_number(packet *p, struct work *w, __u32 at, const struct shift *s)
{
	__be32 seen;
	__s32 by;

	if (!w || !s || PEEK(p, at, &seen, 4))
		return 1;
	by = shift_ack(s, bpf_ntohl(seen));
	return by ? shift_number(p, w, at, -by) : 0;
}

/* The acknowledgement, and every edge of selective ones: each speaks of its own place of the stream, before the change or behind it. */
SHARED int unshift_acks(packet *p, struct work *w, const struct shift *s)
{
	__u32 sack, end;
	__u8 length = 0;

	if (!w || !s || !(s->delta | s->previous) || !(w->l4_first & TCP_ACK))
		return 0;
	if (unshift_number(p, w, w->l4 + 8, s))
		return 1;
	sack = find_option(p, w, OPTION_SACK);
	if (!sack || PEEK(p, sack + 1, &length, 1))
		return 0;
	end = sack + length;
	for (__u32 i = 0; i < SACK_EDGES; i++) {
		__u32 at = sack + 2 + 4 * i;

		if (at + 4 > end)
			break;
		if (unshift_number(p, w, at, s))
			return 1;
	}
	return 0;
}

/* --- other lengths -------------------------------------------------------------------------------------------------------- */

#define MOVE_CHUNK 256

struct moving {
	packet *p;
	__u32 at;
	__u32 left;
	__s32 by;
	__u32 failed;
};

static long move_chunk(__u32 i, void *context)
{
	struct moving *m = context;
	struct work *w = the_work();
	__u32 length = m->left, at = m->at;

	(void)i;
	if (!w || length == 0)
		return 1;
	if (length > MOVE_CHUNK)
		length = MOVE_CHUNK;
	length--;
	BOUND(length, MOVE_CHUNK - 1);
	length++;
	m->left -= length;
	/* What moves towards the end goes last piece first. */
	if (m->by > 0)
		at += m->left;
	else
		m->at += length;
	if (bpf_skb_load_bytes(m->p, at, w->scratch, length) || bpf_skb_store_bytes(m->p, at + m->by, w->scratch, length, 0)) {
		m->failed = 1;
		return 1;
	}
	return 0;
}

/* Moves `length` bytes at `at`. Uses w->scratch. */
INLINE int move_bytes(packet *p, struct work *w, __u32 at, __u32 length, int by)
{
	struct moving m = { .p = p };

	if (!w)
		return 1;
	m.at = at + w->zero;
	m.left = length + w->zero;
	m.by = by + w->zero;
	m.failed = w->zero;
	bpf_loop((length & 0xffff) / MOVE_CHUNK + 1, move_chunk, &m, 0);
	return m.failed;
}

/* Writes the packet's new length: IP header, pseudo header, worksheet. The header's checksum is written with its addresses. */
INLINE int put_length(packet *p, struct work *w, __u32 length)
{
	__u32 header = w->l4 - w->l3;
	__be16 ip = bpf_htons(w->family == 4 ? length : length - 40), old = bpf_htons(w->length);

	if (POKE(p, w->l3 + (w->family == 4 ? 2 : 4), &ip, 2))
		return 1;
	if (w->family == 4)
		w->check = update16(w->check, old, ip);
	if (bpf_l4_csum_replace(p, checksum_at(w), bpf_htons(w->length - header), bpf_htons(length - header), BPF_F_PSEUDO_HDR | 2))
		return 1;
	w->length = length;
	/* Changing the end of a packet makes one of what was to be segmented. */
	w->segment = length;
	return 0;
}

/* Makes the packet longer or shorter in front of `at`; the bytes that come or go are the caller's to write and to sum up. */
INLINE int insert_bytes(packet *p, struct work *w, __u32 at, int by)
{
	__u32 end, length;

	if (!w)
		return 1;
	end = w->l3 + w->length;
	length = w->length + by;
	if (length > 0xffff || at > end)
		return 1;
	if (by > 0 && bpf_skb_change_tail(p, end + by, 0))
		return 1;
	if (move_bytes(p, w, at, end - at, by))
		return 1;
	if (by < 0 && bpf_skb_change_tail(p, end + by, 0))
		return 1;
	return put_length(p, w, length);
}
