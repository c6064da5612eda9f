/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The way out: route, local delivery, TTL, MTU, then the frame's new addresses or the kernel's neighbour resolution.
 *
 * Routes are looked up as for packets of the director itself (from lo), as ip_vs does. Per destination and CPU the next hop is kept
 * for a quarter of a second; the packet that finds it stale goes by bpf_redirect_neigh, which keeps the neighbour entry alive.
 */
#pragma once

#include "checksum.h"
#include "context.h"
#include "work.h"

#define LO_IFINDEX 1
#define HOP_NS (250 * NS_PER_MS)
/* Smallest usable path MTU. */
#define MIN_MTU4 68
#define MIN_MTU6 1280

enum { STEP_GO, STEP_LOCAL, STEP_DROP, STEP_NO_ROUTE, STEP_TTL, STEP_BIG };

INLINE int in_test(const struct work *w)
{
	return w->test & TEST_OUTPUT;
}

/* Leaves what became of the packet where a test finds it. */
INLINE void note(const struct work *w, __u32 verdict)
{
	__u32 zero = 0;
	struct trace *t;

	if (!in_test(w))
		return;
	t = bpf_map_lookup_elem(&trace, &zero);
	if (!t)
		return;
	t->verdict = verdict;
	t->reason = verdict == VERDICT_DROP ? w->reason : 0;
	t->dest = w->dest;
	t->slot = w->slot;
}

INLINE int accept(const struct work *w)
{
	note(w, VERDICT_ACCEPT);
	return TC_ACT_UNSPEC;
}

/*
 * Says of a packet for the stack that it has been dealt with, whatever mark it gets there: to netfilter (planes/ebpf/marks.ts). Redirects
 * forget the priority; up to lo, tc_index says it.
 */
#define PRIORITY_DONE 0x6c767302
#define INDEX_DONE 0x4c57

INLINE void done_with(packet *p)
{
	p->priority = PRIORITY_DONE;
}

/* To the local stack, rewritten. */
INLINE int deliver(const struct work *w)
{
	note(w, VERDICT_LOCAL);
	return TC_ACT_UNSPEC;
}

INLINE void count_drop(__u32 reason)
{
	struct state *s = the_state();

	if (s)
		ADD(&s->drops[reason & (LIMIT_DROPS - 1)], 1);
}

INLINE int drop(struct work *w, __u32 reason)
{
	w->reason = reason;
	count_drop(reason);
	note(w, VERDICT_DROP);
	return TC_ACT_SHOT;
}

/* What a route is looked up by. */
INLINE void fib_ends(struct bpf_fib_lookup *fib, __u32 family, const __be32 *target, const __be32 *source)
{
	if (family == 4) {
		fib->family = FAMILY_INET;
		fib->ipv4_dst = target[0];
		if (source)
			fib->ipv4_src = source[0];
	} else {
		fib->family = FAMILY_INET6;
		copy_address(fib->ipv6_dst, target);
		if (source)
			copy_address(fib->ipv6_src, source);
	}
}

/* Asks the routing table for the way to `target`, of what comes from `source` (0 = not said) and in by an interface; w->way. */
INLINE void route(packet *p, struct work *w, __u32 family, const __be32 *target, const __be32 *source, __u32 in)
{
	struct bpf_fib_lookup *fib = &w->fib;
	struct way *way = &w->way;
	__u32 mtu = 0;
	long found;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = in;
	fib->tot_len = 1; /* asks for the path's MTU in return */
	fib_ends(fib, family, target, source);
	found = bpf_fib_lookup(p, fib, sizeof(*fib), 0);
	way->kind = HOP_NONE;
	if (found == BPF_FIB_LKUP_RET_NOT_FWDED) {
		way->kind = HOP_LOCAL;
		return;
	}
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return;
	way->ifindex = fib->ifindex;
	way->family = fib->family == FAMILY_INET ? 4 : 6;
	way->gateway[0] = way->gateway[1] = way->gateway[2] = way->gateway[3] = 0;
	if (fib->family == FAMILY_INET)
		way->gateway[0] = fib->ipv4_dst;
	else
		copy_address(way->gateway, fib->ipv6_dst);
	if (found == BPF_FIB_LKUP_RET_SUCCESS) {
		way->kind = HOP_NEIGHBOUR;
		way->mtu = fib->mtu_result;
		__builtin_memcpy(way->target, fib->dmac, 6);
		__builtin_memcpy(way->source, fib->smac, 6);
		return;
	}
	way->kind = HOP_RESOLVE;
	/* Without a neighbour the lookup does not tell the path's MTU: the interface's stands in. */
	bpf_check_mtu(p, fib->ifindex, &mtu, 0, 0);
	way->mtu = mtu ? mtu : 1500;
}

/* The way to a test's next hop. */
INLINE void route_in_test(struct work *w, __u32 family, const __be32 *target)
{
	__u32 zero = 0;
	struct trace *t = bpf_map_lookup_elem(&trace, &zero);
	struct dest *d = dest_at(w->dest);

	w->way.kind = d && w->dest && (READ_ONCE(d->flags) & DEST_FLAG_LOCAL) ? HOP_LOCAL : HOP_RESOLVE;
	if (!w->dest && w->method == METHOD_BYPASS && t && t->own)
		w->way.kind = HOP_LOCAL;
	w->way.mtu = t && t->mtu ? t->mtu : 65535;
	if (!t)
		return;
	t->hop_family = family;
	copy_address(t->hop, target);
}

/* The way to where a request goes: w->naddr of w->dest, or w->daddr for a bypass. */
INLINE void route_request(packet *p, struct work *w, __u32 family, const __be32 *target)
{
	__u32 id = w->dest;
	struct dest_stats *cache;
	struct way *way = &w->way;
	struct dest *d;
	__u32 out;

	if (in_test(w)) {
		route_in_test(w, family, target);
		return;
	}
	cache = id ? bpf_map_lookup_elem(&dest_stats, &id) : (struct dest_stats *)0;
	if (cache && cache->hop_until > w->now) {
		way->kind = HOP_NEIGHBOUR;
		way->ifindex = cache->hop_ifindex;
		way->mtu = cache->hop_mtu;
		__builtin_memcpy(way->target, cache->hop_target, 12);
		return;
	}
	route(p, w, family, target, (const __be32 *)0, LO_IFINDEX);
	if (way->kind == HOP_LOCAL) {
		/* "No route" looks the same: user space says which addresses are the director's. */
		d = dest_at(id);
		if (!id || !d || !(READ_ONCE(d->flags) & DEST_FLAG_LOCAL))
			way->kind = HOP_NONE;
		return;
	}
	if (way->kind != HOP_NEIGHBOUR || !cache)
		return;
	/* Whether XDP may use it. Keys lie on the stack. */
	out = way->ifindex;
	cache->hop_kind = bpf_map_lookup_elem(&outlets, &out) ? HOP_NEIGHBOUR : HOP_RESOLVE;
	cache->hop_ifindex = way->ifindex;
	cache->hop_mtu = way->mtu;
	__builtin_memcpy(cache->hop_target, way->target, 12);
	cache->hop_until = w->now + HOP_NS;
	way->kind = HOP_RESOLVE;
}

/* Writes TTL, checksum and addresses of the IP header; `addresses` when those changed too. */
INLINE int flush_header(packet *p, struct work *w, int addresses)
{
	if (w->family == 4) {
		struct {
			__u8 ttl;
			__u8 protocol;
			__u16 check;
			__be32 source;
			__be32 target;
		} tail = { w->ttl, w->protocol, w->check, w->saddr[0], w->daddr[0] };

		return POKE(p, w->l3 + 8, &tail, sizeof(tail)) != 0;
	} else {
		__u8 hops = w->ttl;

		if (POKE(p, w->l3 + 7, &hops, 1))
			return 1;
		if (!addresses)
			return 0;
		return POKE(p, w->l3 + 8, w->saddr, 16) || POKE(p, w->l3 + 24, w->daddr, 16);
	}
}

/* One hop less on the worksheet; the packet follows with flush_header(). */
INLINE void decrement_ttl(struct work *w)
{
	if (w->family == 4)
		w->check = update16(w->check, w->ttl | (w->protocol << 8), (w->ttl - 1) | (w->protocol << 8));
	w->ttl--;
}

/* TTL and MTU for a packet that goes on by w->way. `overhead`: bytes an outer header adds; `tell`: too big is an error. */
INLINE int checks(struct work *w, __u32 overhead, __u32 outer_family, int tell)
{
	__u32 mtu = w->way.mtu - overhead;

	if (w->ttl <= 1)
		return STEP_TTL;
	decrement_ttl(w);
	if (overhead && (__s32)mtu < (outer_family == 4 ? MIN_MTU4 : MIN_MTU6)) {
		w->reason = DROP_TOO_BIG;
		return STEP_DROP;
	}
	w->way.mtu = mtu;
	if (w->segment <= mtu || !tell || (w->family == 4 && !(w->flow & FLOW_DONT)))
		return STEP_GO;
	return STEP_BIG;
}

/*
 * Whether the packet is too long for its way: one that may be cut, as others have been told of (checks()). Redirects do not cut; the stack
 * does, and takes a hop off itself.
 */
INLINE int is_too_long(const struct work *w)
{
	return (w->segment > w->way.mtu || (w->flow & FLOW_CUT)) && !in_test(w);
}

/* For the stack, that takes it off again. */
INLINE void give_hop_back(struct work *w)
{
	w->ttl++;
	if (w->family == 4)
		w->check = update16(w->check, (w->ttl - 1) | (w->protocol << 8), w->ttl | (w->protocol << 8));
}

/* Sends the frame by w->way to `target`. */
INLINE int send(packet *p, struct work *w, __u32 verdict)
{
	struct bpf_redir_neigh *hop = &w->hop;

	if (in_test(w)) {
		note(w, verdict);
		return TC_ACT_REDIRECT;
	}
	/* From an interface without link-layer headers: redirects want one, and take it off again where the way out has none either. */
	if (w->l3 == 0) {
		__be16 protocol = p->protocol;

		if (bpf_skb_change_head(p, ETH_LENGTH, 0) || POKE(p, 12, &protocol, 2))
			return drop(w, DROP_FAILED);
	}
	if (w->way.kind == HOP_NEIGHBOUR) {
		if (POKE(p, 0, w->way.target, 12))
			return drop(w, DROP_FAILED);
		return bpf_redirect(w->way.ifindex, 0);
	}
	if (w->way.family == 4) {
		hop->nh_family = FAMILY_INET;
		hop->ipv4_nh = w->way.gateway[0];
	} else {
		hop->nh_family = FAMILY_INET6;
		copy_address(hop->ipv6_nh, w->way.gateway);
	}
	return bpf_redirect_neigh(w->way.ifindex, hop, sizeof(*hop), 0);
}

/*
 * Hands a packet whose source is an address of the director to the stack, by way of lo, where it is not taken for a martian: for a client
 * on the director itself, or to be cut and sent on.
 */
INLINE int send_home(packet *p, struct work *w, __u32 verdict)
{
	__u64 nobody = 0;

	note(w, verdict);
	if (w->hook != HOOK_INGRESS)
		return TC_ACT_UNSPEC;
	if (in_test(w))
		return TC_ACT_REDIRECT;
	if (w->l3 == 0) {
		__be16 protocol = p->protocol;

		if (bpf_skb_change_head(p, ETH_LENGTH, 0) || POKE(p, 12, &protocol, 2))
			return drop(w, DROP_FAILED);
	}
	if (POKE(p, 0, &nobody, 6))
		return drop(w, DROP_FAILED);
	return bpf_redirect(LO_IFINDEX, BPF_F_INGRESS);
}
