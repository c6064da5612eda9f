/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* ICMP errors: a packet becomes the error about itself and goes back to where it came from (core/answers.ts). */
#pragma once

#include "headers.h"
#include "output.h"

/* Longest ICMP error, IP header included (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4). */
#define LONGEST4 576
#define LONGEST6 1280
#define ICMP_LENGTH 8
#define ANSWER_HOPS 64
/* Errors a second at most (one a ms), and how many may come at once. */
#define ANSWER_BURST 50

/* Why an error is sent. */
enum { ANSWER_PORT, ANSWER_HOST, ANSWER_TTL, ANSWER_BIG };
/* Exactly this ICMP (IPv4) type and code, passed on from somebody else. */
#define ANSWER_EXACT(type, code) (0x10000 | ((type) << 8) | (code))

struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

struct answer4 {
	struct ipv4_header ip;
	struct icmp_header icmp;
};

struct answer6 {
	struct ipv6_header ip;
	struct icmp_header icmp;
};

INLINE int is_icmp_error(__u32 family, __u32 type)
{
	if (family == 6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* A word of credit for every ms, shared by all CPUs; a race may lose or give away one. */
INLINE int within_limit(const struct work *w)
{
	struct state *s = the_state();
	__u64 now_ms = w->now / NS_PER_MS, credit;

	if (!s)
		return 0;
	credit = s->answer_credit + (now_ms - s->answer_at_ms);
	if (credit > ANSWER_BURST)
		credit = ANSWER_BURST;
	s->answer_at_ms = now_ms;
	if (credit < 1) {
		s->answer_credit = 0;
		return 0;
	}
	s->answer_credit = credit - 1;
	return 1;
}

/* No error about an error, a later fragment or a group. */
INLINE int may_answer(packet *p, const struct work *w)
{
	__u8 type;

	if (w->flow & FLOW_LATER)
		return 0;
	if (w->family == 4) {
		__u32 first = bpf_ntohl(w->saddr[0]) >> 24;

		if (first == 0 || first >= 224 || bpf_ntohl(w->daddr[0]) >> 28 >= 14)
			return 0;
	} else {
		if ((w->saddr[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
			return 0;
		if ((w->saddr[0] | w->saddr[1] | w->saddr[2] | w->saddr[3]) == 0)
			return 0;
	}
	if (w->protocol == PROTO_ICMP || w->protocol == PROTO_ICMPV6) {
		if (PEEK(p, w->l4, &type, 1) || is_icmp_error(w->family, type))
			return 0;
	}
	return within_limit(w);
}

/*
 * The sum of the quoted packet as it will be on the wire. A transport checksum that the network card is to fill in holds the pseudo
 * header's sum; filled in, the transport part sums up to that sum's complement. (So does every correct one.)
 */
INLINE __u64 quoted_sum(packet *p, const struct work *w, __u32 quote)
{
	__u32 header = w->l4 - w->l3, length = w->length - header;
	__u64 pseudo;
	__u16 check = 0;

	if ((w->flow & FLOW_PORTS) && (w->protocol == PROTO_TCP || w->protocol == PROTO_UDP) && header + 18 <= quote &&
	    !PEEK(p, w->l4 + (w->protocol == PROTO_TCP ? 16 : 6), &check, 2)) {
		pseudo = pseudo_sum(w->family, w->saddr, w->daddr, w->protocol, length);
		if (check && check == fold16(pseudo))
			return (__u64)(__u32)sum_bytes(p, w->l3, header) + (__u16)~check;
	}
	return (__u32)sum_bytes(p, w->l3, quote);
}

INLINE void answer_kind(struct icmp_header *icmp, __u32 family, __u32 kind, __u32 mtu)
{
	icmp->check = 0;
	icmp->rest = kind == ANSWER_BIG ? bpf_htonl(family == 4 ? mtu & 0xffff : mtu) : 0;
	if (kind & 0x10000) {
		icmp->type = (kind >> 8) & 0xff;
		icmp->code = kind & 0xff;
	} else if (family == 4) {
		icmp->type = kind == ANSWER_TTL ? 11 : 3;
		icmp->code = kind == ANSWER_PORT ? 3 : kind == ANSWER_BIG ? 4 : kind == ANSWER_HOST ? 1 : 0;
	} else {
		icmp->type = kind == ANSWER_TTL ? 3 : kind == ANSWER_BIG ? 2 : 1;
		icmp->code = kind == ANSWER_PORT ? 4 : kind == ANSWER_HOST ? 3 : 0;
	}
}

INLINE int write_answer4(packet *p, struct work *w, __u32 kind, __u32 mtu, __u32 quote, __u64 sum, const __be32 *from)
{
	struct answer4 *a = (struct answer4 *)w->scratch;

	__builtin_memset(a, 0, sizeof(*a));
	a->ip.version_length = 0x45;
	/* RFC 1812 section 4.3.2.5: precedence "internetwork control", the rest as in the packet. */
	a->ip.tos = (w->tos & 0x1e) | 0xc0;
	a->ip.length = bpf_htons(sizeof(*a) + quote);
	a->ip.ttl = ANSWER_HOPS;
	a->ip.protocol = PROTO_ICMP;
	a->ip.source = from[0];
	a->ip.target = w->saddr[0];
	a->ip.check = ~fold16((__u32)bpf_csum_diff(0, 0, (__be32 *)&a->ip, sizeof(a->ip), 0));
	answer_kind(&a->icmp, 4, kind, mtu);
	a->icmp.check = ~fold16(sum + (__u32)bpf_csum_diff(0, 0, (__be32 *)&a->icmp, sizeof(a->icmp), 0));
	return POKE(p, w->l3, a, sizeof(*a)) != 0;
}

INLINE int write_answer6(packet *p, struct work *w, __u32 kind, __u32 mtu, __u32 quote, __u64 sum, const __be32 *from)
{
	struct answer6 *a = (struct answer6 *)w->scratch;

	__builtin_memset(a, 0, sizeof(*a));
	a->ip.class_label = bpf_htonl(0x60000000);
	a->ip.length = bpf_htons(ICMP_LENGTH + quote);
	a->ip.next = PROTO_ICMPV6;
	a->ip.hops = ANSWER_HOPS;
	copy_address(a->ip.source, from);
	copy_address(a->ip.target, w->saddr);
	answer_kind(&a->icmp, 6, kind, mtu);
	sum += pseudo_sum(6, from, w->saddr, PROTO_ICMPV6, ICMP_LENGTH + quote);
	a->icmp.check = ~fold16(sum + (__u32)bpf_csum_diff(0, 0, (__be32 *)&a->icmp, sizeof(a->icmp), 0));
	return POKE(p, w->l3, a, sizeof(*a)) != 0;
}

/* The way back to a client, or to a server that is told of an error. */
INLINE void route_back(packet *p, struct work *w, const __be32 *target, const __be32 *source, __u32 in)
{
	__u32 zero = 0;
	struct trace *t;

	if (!in_test(w)) {
		route(p, w, w->family, target, source, in);
		return;
	}
	t = bpf_map_lookup_elem(&trace, &zero);
	w->way.kind = HOP_RESOLVE;
	w->way.mtu = t && t->mtu ? t->mtu : 65535;
	if (!t)
		return;
	t->hop_family = w->family;
	copy_address(t->hop, target);
}

INLINE int is_link_local(__u32 family, const __be32 *a)
{
	return family == 6 && (a[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* To a neighbour on the link that its packet came by: routes do not know which that is. */
INLINE int send_back(packet *p, struct work *w)
{
	w->way.kind = HOP_RESOLVE;
	w->way.ifindex = w->ifindex;
	w->way.family = 6;
	copy_address(w->way.gateway, w->saddr);
	return send(p, w, VERDICT_ANSWER);
}

/*
 * Turns the packet into an error about itself, from w->laddr when `own`, else from the address it was for. The packet is as it is to
 * be quoted (TTL written).
 */
SHARED int answer(packet *p, struct work *w, __u32 kind, __u32 mtu, __u32 own)
{
	__u32 room, quote, reason;
	__be32 from[4];
	__u64 sum;

	if (!w)
		return TC_ACT_SHOT;
	reason = kind == ANSWER_PORT ? DROP_REFUSED : kind == ANSWER_TTL ? DROP_TTL : kind == ANSWER_BIG ? DROP_TOO_BIG : DROP_NO_ROUTE;
	if (!may_answer(p, w))
		return drop(w, reason);
	copy_address(from, own ? w->laddr : w->daddr);
	room = w->family == 4 ? sizeof(struct answer4) : sizeof(struct answer6);
	quote = (w->family == 4 ? LONGEST4 : LONGEST6) - room;
	if (quote > w->length)
		quote = w->length;
	/* A pending checksum must stay inside: headers are quoted anyway. */
	if (bpf_skb_change_tail(p, w->l3 + quote, 0))
		return drop(w, DROP_FAILED);
	sum = quoted_sum(p, w, quote);
	if (bpf_skb_adjust_room(p, room, BPF_ADJ_ROOM_MAC, 0))
		return drop(w, DROP_FAILED);
	if (w->family == 4 ? write_answer4(p, w, kind, mtu, quote, sum, from) : write_answer6(p, w, kind, mtu, quote, sum, from))
		return drop(w, DROP_FAILED);
	count_drop(reason);
	if (is_link_local(w->family, w->saddr) && w->hook == HOOK_INGRESS && !in_test(w))
		return send_back(p, w);
	route_back(p, w, w->saddr, from, LO_IFINDEX);
	if (w->way.kind == HOP_LOCAL)
		return send_home(p, w, VERDICT_ANSWER);
	if (w->way.kind == HOP_NONE)
		return drop(w, DROP_NO_ROUTE);
	return send(p, w, VERDICT_ANSWER);
}

/* What becomes of a packet that checks() held back. */
INLINE int held_back(packet *p, struct work *w, int step, __u32 own)
{
	if (step == STEP_TTL)
		return answer(p, w, ANSWER_TTL, 0, own);
	if (step == STEP_NO_ROUTE)
		return answer(p, w, ANSWER_HOST, 0, own);
	if (step == STEP_BIG) {
		if (flush_header(p, w, 0))
			return drop(w, DROP_FAILED);
		return answer(p, w, ANSWER_BIG, w->way.mtu, own);
	}
	return drop(w, w->reason ? w->reason : DROP_BOUNDARY);
}
