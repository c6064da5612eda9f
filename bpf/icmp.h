/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* ICMP errors about connections, translated and passed on in both directions (core/icmp.ts). */
#pragma once

#include "parse.h"
#include "traffic.h"

/* The worksheet of the packet that an error quotes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} quotes SEC(".maps");

INLINE struct work *the_quote(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&quotes, &zero);
}

INLINE int is_related(__u32 family, __u32 type)
{
	return family == 4 ? type == 3 || type == 4 || type == 11 : type < 128;
}

/* Reads the quoted packet; 0 for ICMP that is none of the director's business. */
SHARED int read_quote(packet *p, struct work *w, struct work *q, __u32 l3)
{
	__u32 room;

	if (!w || !q || l3 + 20 > w->l3 + w->length)
		return 0;
	room = w->l3 + w->length - l3;
	q->now = w->now;
	q->hook = w->hook;
	q->mark = w->mark;
	q->ifindex = w->ifindex;
	q->slot = q->dest = q->service = q->parent = q->onepacket = q->reason = 0;
	q->lport = 0;
	q->flow = FLOW_QUOTED;
	q->l3 = l3;
	if (w->family == 4 ? parse4(p, q, l3, room) : parse6(p, q, l3, room))
		return 0;
	parse_ports(p, q, l3 + q->length);
	return (q->flow & (FLOW_PORTS | FLOW_LATER)) == FLOW_PORTS;
}

/* Whether the ICMP checksum is right. */
SHARED int is_sound(packet *p, struct work *w)
{
	__u32 length;
	__u64 sum;

	if (!w)
		return 0;
	length = w->length - (w->l4 - w->l3);
	sum = (__u32)sum_bytes(p, w->l4, length);
	if (w->family == 6)
		sum += pseudo_sum(6, w->saddr, w->daddr, PROTO_ICMPV6, length);
	return fold16(sum) == 0xffff;
}

/* Changes an address inside the quoted packet; its header checksum follows, and so nothing changes in the sum of an IPv4 error. */
INLINE int put_quoted_address(packet *p, struct work *q, __u32 end, const __be32 *to, __u64 *difference)
{
	const __be32 *from = end == END_SOURCE ? q->saddr : q->daddr;

	if (q->family == 4) {
		__u16 check = update32(q->check, from[0], to[0]);

		q->check = check;
		if (POKE(p, q->l3 + 10, &check, 2))
			return 1;
		return POKE(p, q->l3 + (end == END_SOURCE ? 12 : 16), to, 4) != 0;
	}
	for (int i = 0; i < 4; i++)
		*difference += (__u64)(__u32)~from[i] + to[i];
	return POKE(p, q->l3 + (end == END_SOURCE ? 8 : 24), to, 16) != 0;
}

INLINE int put_quoted_port(packet *p, struct work *q, __u32 end, __be16 to, __u64 *difference)
{
	__be16 from = end == END_SOURCE ? q->sport : q->dport;

	/* A quoted header may start anywhere, but IP headers are multiples of four bytes. */
	*difference += (__u16)~from + to;
	return POKE(p, q->l4 + (end == END_SOURCE ? 0 : 2), &to, 2) != 0;
}

/* Changes an address of the error itself. */
INLINE int put_outer_address(struct work *w, __u32 end, const __be32 *to, __u64 *difference)
{
	__be32 *at = end == END_SOURCE ? w->saddr : w->daddr;

	if (w->family == 4) {
		w->check = update32(w->check, at[0], to[0]);
	} else {
		for (int i = 0; i < 4; i++)
			*difference += (__u64)(__u32)~at[i] + to[i];
	}
	copy_address(at, to);
	return 0;
}

/* Writes the header, and the ICMP checksum after what it covers changed by `difference`. */
INLINE int finish_icmp(packet *p, struct work *w, __u64 difference)
{
	__u16 check;

	if (flush_header(p, w, 1) || PEEK(p, w->l4 + 2, &check, 2))
		return 1;
	check = ~fold16((__u64)(__u16)~check + fold16(difference));
	return POKE(p, w->l4 + 2, &check, 2) != 0;
}

/* Server's side to client: the quoted packet becomes what the client sent, the sender becomes the VIP. */
SHARED int translate_error_reply(packet *p, struct work *w, struct work *q)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	__u64 difference = 0;

	if (!c || !q)
		return 1;
	put_outer_address(w, END_SOURCE, c->virtual, &difference);
	if (put_quoted_address(p, q, END_TARGET, c->virtual, &difference) ||
	    put_quoted_port(p, q, END_TARGET, c->virtual_port, &difference))
		return 1;
	if (w->method == METHOD_FULLNAT) {
		put_outer_address(w, END_TARGET, c->client, &difference);
		if (put_quoted_address(p, q, END_SOURCE, c->client, &difference) ||
		    put_quoted_port(p, q, END_SOURCE, c->client_port, &difference))
			return 1;
	}
	return finish_icmp(p, w, difference);
}

/* Client's side to server: the quoted packet becomes what the server sent. */
SHARED int translate_error_request(packet *p, struct work *w, struct work *q)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	__u64 difference = 0;

	if (!c || !q)
		return 1;
	put_outer_address(w, END_TARGET, c->dest_address, &difference);
	if (put_quoted_address(p, q, END_SOURCE, c->dest_address, &difference) ||
	    put_quoted_port(p, q, END_SOURCE, c->dest_port, &difference))
		return 1;
	if (w->method == METHOD_FULLNAT) {
		put_outer_address(w, END_SOURCE, c->local, &difference);
		if (put_quoted_address(p, q, END_TARGET, c->local, &difference) ||
		    put_quoted_port(p, q, END_TARGET, c->local_port, &difference))
			return 1;
	}
	return finish_icmp(p, w, difference);
}

/* An error from the server's side about a request. */
SHARED int icmp_reply(packet *p, struct work *w, struct work *q)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	int step = STEP_LOCAL;

	if (!c || !q)
		return TC_ACT_SHOT;
	if (!is_sound(p, w))
		return drop(w, DROP_MALFORMED);
	if (w->hook == HOOK_INGRESS)
		step = prepare_reply(p, w, c->client);
	/* Errors are not answered with errors. */
	if (step != STEP_GO && step != STEP_LOCAL)
		return drop(w, step == STEP_TTL ? DROP_TTL : step == STEP_BIG ? DROP_TOO_BIG : DROP_NO_ROUTE);
	if (translate_error_reply(p, w, q))
		return drop(w, DROP_FAILED);
	if (is_available(w->dest))
		count_out(w);
	return w->hook == HOOK_INGRESS ? send_reply(p, w, step) : deliver(w);
}

/* An error from the client's side about a reply of a NAT server. */
SHARED int icmp_request(packet *p, struct work *w, struct work *q)
{
	int step;

	if (!w || !q)
		return TC_ACT_SHOT;
	if (!is_sound(p, w))
		return drop(w, DROP_MALFORMED);
	if (is_available(w->dest))
		count_in(w);
	step = prepare(p, w, w->dest_family, w->naddr);
	if (step == STEP_LOCAL) {
		if (intrudes(w))
			return drop(w, DROP_BOUNDARY);
		return translate_error_request(p, w, q) ? drop(w, DROP_FAILED) : deliver(w);
	}
	if (step == STEP_GO)
		step = checks(w, 0, 4, 1);
	/* Errors are not answered with errors. */
	if (step != STEP_GO)
		return drop(w, step == STEP_TTL ? DROP_TTL : step == STEP_BIG ? DROP_TOO_BIG : DROP_NO_ROUTE);
	return translate_error_request(p, w, q) ? drop(w, DROP_FAILED) : send(p, w, VERDICT_SEND);
}

INLINE int icmp(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct work *q = the_quote();
	struct conn *c;
	__u8 type;

	if (!g || !q || (w->flow & FLOW_FRAGMENT) || w->length < w->l4 - w->l3 + 8 || PEEK(p, w->l4, &type, 1))
		return accept(w);
	if (!is_related(w->family, type) || !read_quote(p, w, q, w->l4 + 8))
		return accept(w);
	/* As the other side would send it: the key of replies for errors about requests, that of requests for errors about replies. */
	reversed_key(&w->key, q);
	c = find_connection(w, &w->key);
	if (!c) {
		/* About a request of a connection without a key for replies: passes, counted. */
		packet_key(&w->key, q);
		c = g->oneway_dests ? find_connection(w, &w->key) : (struct conn *)0;
		if (!c || (w->flow & FLOW_REPLY) || has_reply_key(ctl_flags(READ_ONCE(c->ctl))))
			return accept(w);
		load_connection(w, c);
		if (is_available(w->dest))
			count_out(w);
		return accept(w);
	}
	load_connection(w, c);
	if (w->flow & FLOW_REPLY)
		return icmp_reply(p, w, q);
	if (g->stand_back)
		return accept(w);
	if (w->method == METHOD_NAT || w->method == METHOD_FULLNAT)
		return icmp_request(p, w, q);
	if (is_available(w->dest))
		count_in(w);
	/* What follows must not take the error for a packet with ports. */
	return forward(p, w);
}

/* AH and ESP follow the ISAKMP connection of their two ends. */
INLINE int ipsec(packet *p, struct work *w)
{
	struct config *g = the_config();
	__u32 protocol = w->protocol;
	struct conn *c;

	if ((protocol != PROTO_AH && protocol != PROTO_ESP) || !g)
		return accept(w);
	w->sport = w->dport = bpf_htons(ISAKMP_PORT);
	w->protocol = PROTO_UDP;
	packet_key(&w->key, w);
	c = find_connection(w, &w->key);
	w->protocol = protocol;
	if (!c || g->stand_back)
		return accept(w);
	if (w->flow & FLOW_REPLY)
		return reply(p, w);
	if (c->dest && !is_available(c->dest))
		return g->settings & SETTING_EXPIRE_NODEST_CONN ? accept(w) : drop(w, DROP_ORPHAN);
	return request(p, w);
}
