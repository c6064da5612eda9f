/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* ICMP errors about connections, translated and passed on in both directions (core/icmp.ts). */
#pragma once

#include "parse.h"
#include "traffic.h"

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
	q->family = 0;
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

/* Changes the sequence number of a quoted segment, as far as it is quoted. */
SHARED int shift_quoted(packet *p, struct work *w, struct work *q)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct shift s = {};
	__be32 from, to;
	__u32 by = 0;

	if (!c || !q || q->protocol != PROTO_TCP || q->length < q->l4 - q->l3 + 8 || PEEK(p, q->l4 + 4, &from, 4))
		return 0;
	if (w->method == METHOD_FULLNAT)
		by = -READ_ONCE(c->seq_delta);
	else if (is_watched(c) && read_shift(c, &s))
		by = -shift_ack(&s, bpf_ntohl(from));
	if (!by)
		return 0;
	to = bpf_htonl(bpf_ntohl(from) + by);
	w->shifted = fold16((__u64)(__u32)~from + to);
	return POKE(p, q->l4 + 4, &to, 4) != 0;
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

/* Server's side to client, by w->naddr and w->laddr: the quoted packet becomes what the client sent, the sender becomes the VIP. */
SHARED int translate_error_reply(packet *p, struct work *w, struct work *q)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	__u64 difference = 0;

	if (!c || !q)
		return 1;
	put_outer_address(w, END_SOURCE, w->laddr, &difference);
	if (put_quoted_address(p, q, END_TARGET, w->laddr, &difference) ||
	    put_quoted_port(p, q, END_TARGET, c->virtual_port, &difference))
		return 1;
	if (w->method == METHOD_FULLNAT) {
		put_outer_address(w, END_TARGET, w->naddr, &difference);
		if (put_quoted_address(p, q, END_SOURCE, w->naddr, &difference) ||
		    put_quoted_port(p, q, END_SOURCE, c->client_port, &difference))
			return 1;
		w->shifted = 0;
		if (shift_quoted(p, w, q))
			return 1;
		difference += w->shifted;
	}
	return finish_icmp(p, w, difference);
}

/* Client's side to server, by w->naddr and w->laddr: the quoted packet becomes what the server sent. */
SHARED int translate_error_request(packet *p, struct work *w, struct work *q)
{
	__u64 difference = 0;

	if (!w || !q)
		return 1;
	put_outer_address(w, END_TARGET, w->naddr, &difference);
	if (put_quoted_address(p, q, END_SOURCE, w->naddr, &difference) ||
	    put_quoted_port(p, q, END_SOURCE, w->nport, &difference))
		return 1;
	if (w->watched) {
		w->shifted = 0;
		if (shift_quoted(p, w, q))
			return 1;
		difference += w->shifted;
	}
	if (w->method == METHOD_FULLNAT) {
		put_outer_address(w, END_SOURCE, w->laddr, &difference);
		if (put_quoted_address(p, q, END_TARGET, w->laddr, &difference) ||
		    put_quoted_port(p, q, END_TARGET, w->lport, &difference))
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
	GET_END(w->naddr, c, client, w->family);
	GET_END(w->laddr, c, virtual, w->family);
	if (w->hook == HOOK_INGRESS)
		step = prepare_reply(p, w, w->naddr);
	/* Errors are not answered with errors. */
	if (step != STEP_GO && step != STEP_LOCAL)
		return drop(w, step == STEP_TTL ? DROP_TTL : step == STEP_BIG ? DROP_TOO_BIG : DROP_NO_ROUTE);
	if (translate_error_reply(p, w, q))
		return drop(w, DROP_FAILED);
	if (w->available)
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
	if (w->available)
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

/* --- errors about tunnel packets ------------------------------------------------------------------------------------------ */

/* How long a path MTU is remembered, and the least that is believed (net.ipv4.route.mtu_expires, min_pmtu). */
#define PATH_MTU_NS (600000 * NS_PER_MS)
#define MIN_PATH_MTU 552
#define LOOPBACK_MTU 65536
#define NOT_OURS -2

/* Where the packet inside a quoted tunnel packet begins, 0 when that is none; `k` names the server it went to. */
INLINE __u32 inner_of(packet *p, const struct work *q, struct service_key *k)
{
	__u32 at = q->l4;
	__u8 head[4];

	copy_address(k->address, q->daddr);
	k->port = 0;
	k->family = 4 | 0x40;
	if (q->protocol == PROTO_IPIP || q->protocol == PROTO_IPV6) {
		k->protocol = PROTO_IPIP;
		return at;
	}
	if (q->protocol == PROTO_GRE) {
		k->protocol = PROTO_GRE;
		if (PEEK(p, at, head, 4))
			return 0;
		return at + 4 + (head[0] & 0x80 ? 4 : 0) + (head[0] & 0x20 ? 4 : 0) + (head[0] & 0x10 ? 4 : 0);
	}
	if (q->protocol != PROTO_UDP || PEEK(p, at, head, 4))
		return 0;
	k->protocol = PROTO_UDP;
	k->port = *(__be16 *)&head[2];
	if (PEEK(p, at + 8, head, 4) || head[0] >> 5)
		return 0;
	return at + 12 + (head[0] & 0x1f) * 4;
}

/* The worksheet becomes that of the quoted packet q, everything before which was cut off. */
INLINE void become(struct work *w, const struct work *q, __u32 cut)
{
	w->protocol = q->protocol;
	w->flow = q->flow;
	w->l4 = q->l4 - cut;
	w->length = q->length;
	w->tos = q->tos;
	w->ttl = q->ttl;
	w->check = q->check;
	w->sport = q->sport;
	w->dport = q->dport;
	copy_address(w->saddr, q->saddr);
	copy_address(w->daddr, q->daddr);
}

/* The MTU to report for a packet that was too big behind the director; notes what the router said. 0 = nothing to report. */
INLINE __u32 learn_mtu(packet *p, struct work *w, const struct work *q, struct dest *d, __u32 reported)
{
	__u32 before;

	route_request(p, w, 4, d->address);
	before = w->way.kind == HOP_NONE ? reported : w->way.kind == HOP_LOCAL ? LOOPBACK_MTU : w->way.mtu;
	if (d->path_mtu && w->now < d->path_mtu_until && d->path_mtu < before)
		before = d->path_mtu;
	d->path_mtu = reported > MIN_PATH_MTU ? reported : MIN_PATH_MTU;
	d->path_mtu_until = w->now + PATH_MTU_NS;
	/* As the kernel: the first relayed error still carries what was known before. */
	return q->flow & FLOW_DONT ? before - overhead_of(d) : 0;
}

/* An error about an outer packet of ours: the client hears of the inner one. */
SHARED int icmp_tunnel(packet *p, struct work *w, struct work *q)
{
	struct service_key k = {};
	__u32 *id, at, cut, kind, mtu = 0;
	struct conn *c;
	struct dest *d;
	__u8 head[8];

	if (!w || !q || w->length < w->l4 - w->l3 + 8 + 20 || PEEK(p, w->l4, head, 8))
		return NOT_OURS;
	/* Outer header, then the one inside; tunnels have no ports. */
	read_quote(p, w, q, w->l4 + 8);
	if (q->l3 != w->l4 + 8 || q->family != 4 || (q->flow & FLOW_LATER))
		return NOT_OURS;
	at = inner_of(p, q, &k);
	id = at ? bpf_map_lookup_elem(&servers, &k) : (__u32 *)0;
	if (!id || !read_quote(p, w, q, at))
		return NOT_OURS;
	packet_key(&w->key, q);
	c = find_connection(w, &w->key);
	d = dest_at(*id);
	if (!c || !d || (w->flow & FLOW_REPLY))
		return NOT_OURS;
	if (!is_sound(p, w))
		return drop(w, DROP_MALFORMED);
	load_connection(w, c);
	if (w->available)
		count_in(w);
	/* The path is that of the server the outer packet went to, whichever service it serves. */
	w->dest = *id;
	kind = ANSWER_EXACT(head[0], head[1]);
	if (head[0] == 3 && head[1] == 4) {
		kind = ANSWER_BIG;
		mtu = learn_mtu(p, w, q, d, (head[6] << 8) | head[7]);
		if (!mtu)
			return drop(w, DROP_TOO_BIG);
	}
	cut = at - w->l3;
	if (bpf_skb_adjust_room(p, -(__s32)cut, BPF_ADJ_ROOM_MAC, 0))
		return drop(w, DROP_FAILED);
	become(w, q, cut);
	return answer(p, w, kind, mtu, 0);
}

/*
 * schedule_icmp: the error opens a connection as the client's packet would that it is about. Scheduling works on the worksheet, which
 * plays that packet meanwhile.
 */
SHARED int schedule_error(struct work *w, struct work *q)
{
	__be32 source[4], target[4];
	__u32 protocol, flow;
	int outcome;

	if (!w || !q)
		return OUTCOME_ACCEPT;
	copy_address(source, w->saddr);
	copy_address(target, w->daddr);
	protocol = w->protocol;
	flow = w->flow;
	/* What is quoted is a reply: its target is the client. */
	copy_address(w->saddr, q->daddr);
	copy_address(w->daddr, q->saddr);
	w->sport = q->dport;
	w->dport = q->sport;
	w->protocol = q->protocol;
	w->flow = FLOW_QUOTED | FLOW_PORTS;
	outcome = schedule(w);
	copy_address(w->saddr, source);
	copy_address(w->daddr, target);
	w->sport = w->dport = 0;
	w->protocol = protocol;
	w->flow = flow;
	return outcome;
}

/* Passes on an error about a reply to the server. */
SHARED int relay(packet *p, struct work *w, struct work *q)
{
	if (!w || !q)
		return TC_ACT_SHOT;
	if (w->method == METHOD_NAT || w->method == METHOD_FULLNAT)
		return icmp_request(p, w, q);
	if (w->available)
		count_in(w);
	return forward(p, w);
}

/* An error that belongs to no connection. */
INLINE int icmp_new(packet *p, struct work *w, struct work *q)
{
	struct config *g = the_config();
	struct conn *c;
	int outcome;

	if (!w || !q || !g || !(g->settings & SETTING_SCHEDULE_ICMP) || g->stand_back)
		return w ? accept(w) : TC_ACT_UNSPEC;
	outcome = schedule_error(w, q);
	if (outcome == OUTCOME_ACCEPT)
		return accept(w);
	if (outcome != OUTCOME_MADE)
		return drop(w, w->reason);
	if (w->onepacket) {
		end_once(w);
		return relay(p, w, q);
	}
	c = conn_at(w->slot);
	if (!c)
		return drop(w, DROP_FAILED);
	load_connection(w, c);
	return relay(p, w, q);
}

INLINE int icmp(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct work *q = the_quote();
	struct conn *c;
	int verdict;
	__u8 type;

	if (!g || !q || (w->flow & FLOW_FRAGMENT) || w->length < w->l4 - w->l3 + 8 || PEEK(p, w->l4, &type, 1))
		return accept(w);
	if (!is_related(w->family, type))
		return accept(w);
	if (w->family == 4 && g->oneway_dests) {
		verdict = icmp_tunnel(p, w, q);
		if (verdict != NOT_OURS)
			return verdict;
	}
	if (!read_quote(p, w, q, w->l4 + 8))
		return accept(w);
	/* As the other side would send it: the key of replies for errors about requests, that of requests for errors about replies. */
	reversed_key(&w->key, q);
	c = find_connection(w, &w->key);
	if (!c) {
		/* About a request of a connection without a key for replies: passes, counted. */
		packet_key(&w->key, q);
		c = g->oneway_dests ? find_connection(w, &w->key) : (struct conn *)0;
		if (!c || (w->flow & FLOW_REPLY) || has_reply_key(ctl_flags(READ_ONCE(c->ctl)))) {
			w->flow &= ~FLOW_REPLY;
			return icmp_new(p, w, q);
		}
		load_connection(w, c);
		if (w->available)
			count_out(w);
		return accept(w);
	}
	if (w->flow & FLOW_REPLY) {
		load_connection(w, c);
		return icmp_reply(p, w, q);
	}
	if (g->stand_back)
		return accept(w);
	load_connection(w, c);
	return relay(p, w, q);
}

/*
 * ignore_tunneled: what comes out of a tunnel of the kernel is the buffer that went in, and keeps this word. "LV"; ip_vs has a bit of its
 * own there (skb->ipvs_property).
 */
#define TUNNELED 0x4c56

/* Protocols without ports: AH and ESP follow the ISAKMP connection of their two ends, others may be tunnels. */
INLINE int other(packet *p, struct work *w)
{
	struct config *g = the_config();
	__u32 protocol = w->protocol;
	struct conn *c;

	if (!g)
		return accept(w);
	if (protocol != PROTO_AH && protocol != PROTO_ESP) {
		if (g->settings & SETTING_IGNORE_TUNNELED)
			p->tc_index = TUNNELED;
		return accept(w);
	}
	w->sport = w->dport = bpf_htons(ISAKMP_PORT);
	w->protocol = PROTO_UDP;
	packet_key(&w->key, w);
	c = find_connection(w, &w->key);
	/* It has no ports of its own. */
	w->protocol = protocol;
	w->sport = w->dport = 0;
	if (!c || g->stand_back)
		return accept(w);
	if (w->flow & FLOW_REPLY)
		return reply(p, w);
	if (c->dest && !is_available(c->dest))
		return g->settings & SETTING_EXPIRE_NODEST_CONN ? accept(w) : drop(w, DROP_ORPHAN);
	return request(p, w);
}
