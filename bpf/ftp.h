/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The FTP helper (core/ftp.ts): reads the control connections of NAT services at port 21, opens the way for data connections, puts the
 * VIP into what the server says, and keeps both ends' sequence numbers right. Connections that it watches have CONN_FLAG_WATCHED.
 */
#pragma once

#include "ftp_text.h"
#include "scheduling.h"
#include "sequence.h"
#include "states.h"

/* work.watched: the_quote() has a data connection, which is made when the packet is done with: the stack is not so deep there. */
#define WAY_PLANNED 1
#define TCP_STATE_LISTEN 9
#define LISTEN_MS 120000

INLINE int is_watched(const struct conn *c)
{
	return ctl_flags(READ_ONCE(c->ctl)) & CONN_FLAG_WATCHED;
}

/* A data connection is to come: it is in LISTEN. */
INLINE void listen(struct conn *c, __u64 now)
{
#pragma unroll
	for (int i = 0; i < TRIES; i++) {
		__u64 ctl = READ_ONCE(c->ctl);

		if (ctl_phase(ctl) != PHASE_LIVE ||
		    CAS(&c->ctl, ctl, ctl_make(ctl_generation(ctl), ctl_flags(ctl), TCP_STATE_LISTEN, PHASE_LIVE)) == ctl)
			break;
	}
	WRITE_ONCE(c->timeout_ms, LISTEN_MS);
	restart(c, now);
}

/* The worksheet of a data connection under control connection c: who talks to whom is the caller's to fill in. */
INLINE void plan_way(struct work *q, const struct work *w, const struct conn *c)
{
	struct dest *d = c->dest ? dest_at(c->dest) : (struct dest *)0;
	__u32 method = d ? d->method : METHOD_NAT;

	/* A server that is full-NAT's by now: it has heard of the client, and nothing of a local end. */
	if (method == METHOD_FULLNAT)
		method = METHOD_NAT;
	q->now = w->now;
	q->hook = w->hook;
	q->test = w->test;
	q->family = c->family;
	q->dest_family = c->family;
	q->protocol = PROTO_TCP;
	q->flow = FLOW_PORTS;
	q->mark = c->marks & CONN_MARK_FWMARK ? c->fwmark : 0;
	q->slot = 0;
	q->reason = 0;
	q->lport = 0;
	q->onepacket = 0;
	q->dest = c->dest;
	q->scheduled = c->service;
	q->parent = w->slot;
	q->method = method;
	q->conn_flags = (method & CONN_FLAG_METHOD_MASK) | CONN_FLAG_INACTIVE;
	if (method != METHOD_NAT)
		q->conn_flags |= CONN_FLAG_NO_OUTPUT;
	GET_END(q->saddr, c, client, c->family);
	GET_END(q->daddr, c, virtual, c->family);
	GET_END(q->naddr, c, dest_address, c->family);
	q->sport = 0;
}

/* Finds the connection that q describes, also one that waits for its client's port. */
INLINE struct conn *find_way(struct work *q)
{
	struct conn *c = 0;

	packet_key(&q->key, q);
	if (q->sport)
		c = find_connection(q, &q->key);
	if (!c) {
		q->flow &= ~FLOW_REPLY;
		q->key.source_port = 0;
		c = find_connection(q, &q->key);
	}
	return c && !(q->flow & FLOW_REPLY) ? c : (struct conn *)0;
}

/* Makes the data connection that is planned in LISTEN under the control connection of w, unless it exists. */
SHARED int open_way(struct work *w)
{
	struct conn *control = w ? conn_at(w->slot) : (struct conn *)0, *c;
	struct work *q = the_quote();

	if (!control || !q)
		return 0;
	c = find_way(q);
	if (!c) {
		if (!adopt_by(control))
			return 0;
		if (make_connection(q) != MADE) {
			SUB(&control->children, 1);
			return 0;
		}
		if (q->conn_flags & CONN_FLAG_NO_CLIENT_PORT)
			start_waiting();
		if (q->dest)
			bind_connection(q->dest);
		c = conn_at(q->slot);
	}
	if (c)
		listen(c, w->now);
	return 0;
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

INLINE void read_request(packet *p, struct work *w, struct conn *c, __u32 header)
{
	__u32 from = w->l4 + header, end = w->l3 + w->length;
	struct ftp_text *t = the_ftp_text();
	struct work *q = the_quote();

	if (!t || !q || from >= end || load_text(p, t, from, end - from))
		return;
	t->family = w->family;
	if (asks_passive(t)) {
		c->marks |= CONN_MARK_PASSIVE;
		return;
	}
	if (!(w->family == 4 && read_port(t)) && !(read_eprt(t) && read_address(t)))
		return;
	c->marks &= ~CONN_MARK_PASSIVE;
	plan_way(q, w, c);
	copy_address(q->saddr, t->address);
	q->sport = bpf_htons(t->port);
	q->dport = bpf_htons(bpf_ntohs(c->virtual_port) - 1);
	q->nport = bpf_htons(bpf_ntohs(c->dest_port) - 1);
	w->watched = WAY_PLANNED;
}

/* A request of a watched connection, before its addresses are rewritten; not 0: it could not be changed. */
SHARED int ftp_request(packet *p, struct work *w)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct shift s = {};
	__u32 header;

	if (!c)
		return 1;
	header = tcp_header(p, w);
	if (!header)
		return 0;
	/* The client acknowledges what it was shown; the server wants to hear of what it sent. */
	if (read_shift(c, &s) && unshift_acks(p, w, &s))
		return 1;
	if (ctl_state(READ_ONCE(c->ctl)) == TCP_STATE_ESTABLISHED && !(w->flow & FLOW_FRAGMENT))
		read_request(p, w, c, header);
	return 0;
}

/* --- replies -------------------------------------------------------------------------------------------------------------- */

/* A number up to 255 as text at t->byte[at], and what follows it; where the next one goes. */
INLINE __u32 put_number(struct ftp_text *t, __u32 at, __u32 n, __u32 then)
{
	if (n >= 100) {
		BOUND(at, 31);
		t->byte[at++] = '0' + n / 100;
	}
	if (n >= 10) {
		BOUND(at, 31);
		t->byte[at++] = '0' + n / 10 % 10;
	}
	BOUND(at, 31);
	t->byte[at++] = '0' + n % 10;
	BOUND(at, 31);
	t->byte[at++] = then;
	return at;
}

/* Writes the six numbers of VIP and port over the beginning of the text; their length. */
SHARED int put_six(struct ftp_text *t, struct conn *c)
{
	__u32 address, at = 0;

	if (!t || !c)
		return 1;
	address = bpf_ntohl(c->virtual);
	at = put_number(t, at, address >> 24, ',');
	at = put_number(t, at, (address >> 16) & 255, ',');
	at = put_number(t, at, (address >> 8) & 255, ',');
	at = put_number(t, at, address & 255, ',');
	at = put_number(t, at, t->port >> 8, ',');
	at = put_number(t, at, t->port & 255, 0);
	return at - 1;
}

/* Puts the VIP and the port in place of the six numbers that were read; not 0: it could not. *by = bytes more. */
SHARED int replace_six(packet *p, struct work *w, __u32 from)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct ftp_text *t = the_ftp_text();
	__u32 start, end, length, even;
	__u64 before, after;
	int by;

	if (!c || !t)
		return 1;
	length = put_six(t, c);
	start = from + t->start;
	end = from + t->end;
	by = length - (end - start);
	/* Sums go by words of the segment. */
	even = start - ((start - w->l4) & 1);
	before = (__u32)sum_bytes(p, even, w->l3 + w->length - even);
	if (by && insert_bytes(p, w, end, by))
		return 1;
	length--;
	BOUND(length, 31);
	length++;
	if (bpf_skb_store_bytes(p, start, t->byte, length, 0))
		return 1;
	after = (__u32)sum_bytes(p, even, w->l3 + w->length - even);
	t->value = by;
	return add_difference(p, w, even, (__u16)~before + after);
}

/* Reads a reply, opens the way for a passive data connection. 1 = the packet could not be changed; *by: it grew. */
INLINE int read_reply(packet *p, struct work *w, struct conn *c, __u32 header, __s32 *by)
{
	__u32 from = w->l4 + header, end = w->l3 + w->length;
	struct ftp_text *t = the_ftp_text();
	struct work *q = the_quote();

	if (!t || !q || from >= end || load_text(p, t, from, end - from))
		return 0;
	t->family = w->family;
	if (w->family == 4 && read_227(t)) {
		plan_way(q, w, c);
		copy_address(q->naddr, t->address);
	} else if (read_229(t)) {
		plan_way(q, w, c);
		t->found = 0;
	} else {
		return 0;
	}
	q->dport = q->nport = bpf_htons(t->port);
	q->conn_flags |= CONN_FLAG_NO_CLIENT_PORT;
	w->watched = WAY_PLANNED;
	/* 229 has no address. */
	if (!t->found)
		return 0;
	if (replace_six(p, w, from))
		return 1;
	*by = t->value;
	return 0;
}

/* A reply of a watched connection, before its addresses are rewritten; not 0: it could not be changed. */
SHARED int ftp_reply(packet *p, struct work *w)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	__u32 header, seq;
	struct shift s = {};
	__s32 by = 0, shift = 0;

	if (!c)
		return 1;
	header = tcp_header(p, w);
	if (!header)
		return 0;
	seq = tcp_word(p, w, 4);
	/* The segment itself is shifted by what was before it. */
	if (read_shift(c, &s))
		shift = shift_at(&s, seq);
	if ((c->marks & CONN_MARK_PASSIVE) && ctl_state(READ_ONCE(c->ctl)) == TCP_STATE_ESTABLISHED && !(w->flow & FLOW_FRAGMENT)) {
		if (read_reply(p, w, c, header, &by))
			return 1;
		if (by)
			announce_shift(w, note_shift(c, seq, by));
	}
	return shift ? shift_number(p, w, w->l4 + 4, shift) : 0;
}

/* --- data connections ----------------------------------------------------------------------------------------------------- */

/* Whether a data connection waits for this packet's port; then w->slot is it. */
INLINE struct conn *find_waiting(struct work *w)
{
	struct state *s = the_state();
	struct conn *c;

	if (!s || !READ_ONCE(s->waiting) || w->protocol != PROTO_TCP || !(w->flow & FLOW_PORTS))
		return 0;
	packet_key(&w->key, w);
	w->key.source_port = 0;
	c = find_connection(w, &w->key);
	if (!c)
		return 0;
	if (!(w->flow & FLOW_REPLY) && (ctl_flags(READ_ONCE(c->ctl)) & CONN_FLAG_NO_CLIENT_PORT))
		return c;
	w->flow &= ~FLOW_REPLY;
	w->slot = 0;
	return 0;
}

/*
 * The packet tells the client's port of the data connection that waits: one with that port takes its place, under the same control
 * connection and destination. Whoever ends the waiting one makes the new one.
 */
SHARED int fill_client_port(struct work *w)
{
	__u32 waiting = w ? w->slot : 0, made, flags;
	struct conn *c = waiting ? conn_at(waiting) : (struct conn *)0, *control;

	if (!c)
		return 0;
	w->dest = c->dest;
	w->scheduled = c->service;
	w->parent = c->parent;
	flags = ctl_flags(READ_ONCE(c->ctl));
	w->method = flags & CONN_FLAG_METHOD_MASK;
	w->conn_flags = flags & ~(CONN_FLAG_NO_CLIENT_PORT | CONN_FLAG_HASHED);
	w->dest_family = c->dest_family;
	w->nport = c->dest_port;
	GET_END(w->naddr, c, dest_address, c->dest_family);
	w->mark = c->marks & CONN_MARK_FWMARK ? c->fwmark : 0;
	control = w->parent ? conn_at(w->parent) : (struct conn *)0;
	if (control)
		ADD(&control->children, 1);
	w->slot = 0;
	made = end_connection(waiting) ? make_connection(w) : MADE_NOTHING;
	c = made == MADE ? conn_at(w->slot) : (struct conn *)0;
	if (!c) {
		if (control)
			SUB(&control->children, 1);
		return 0;
	}
	if (w->dest)
		bind_connection(w->dest);
	listen(c, w->now);
	return 1;
}
