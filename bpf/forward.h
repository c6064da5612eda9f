/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The forwarding methods: what each does to a request on its way to the real server (core/forward/forwarder.ts). */
#pragma once

#include "fragments.h"
#include "ftp.h"
#include "nat.h"
#include "toa.h"
#include "tunnel.h"

/* Route and boundary rule for a request to `target`. */
INLINE int prepare(packet *p, struct work *w, __u32 family, const __be32 *target)
{
	route_request(p, w, family, target);
	if (w->way.kind == HOP_LOCAL)
		return STEP_LOCAL;
	if (w->way.kind == HOP_NONE)
		return STEP_NO_ROUTE;
	if (is_loopback(w->family, w->saddr)) {
		w->reason = DROP_BOUNDARY;
		return STEP_DROP;
	}
	return STEP_GO;
}

/* What came from the wire must not reach a loopback address. */
INLINE int intrudes(const struct work *w)
{
	return w->hook == HOOK_INGRESS && is_loopback(w->dest_family, w->naddr) && !is_loopback(w->family, w->saddr);
}

/* `mtu`: of the way out, once it is known that the packet fits. */
INLINE int translate(packet *p, struct work *w, __u32 mtu)
{
	if (w->watched && ftp_request(p, w))
		return 1;
	if (w->method == METHOD_FULLNAT && (fullnat_request(p, w, mtu) || rewrite(p, w, END_SOURCE, w->lport)))
		return 1;
	return rewrite(p, w, END_TARGET, w->nport);
}

/* NAT and full-NAT. */
SHARED int forward_nat(packet *p, struct work *w)
{
	int step;

	if (!w)
		return TC_ACT_SHOT;
	step = prepare(p, w, w->dest_family, w->naddr);
	if (step == STEP_LOCAL) {
		if (intrudes(w))
			return drop(w, DROP_BOUNDARY);
		done_with(p);
		return translate(p, w, 0xffff) ? drop(w, DROP_FAILED) : deliver(w);
	}
	if (step == STEP_GO)
		step = checks(w, 0, 4, 1);
	if (step != STEP_GO)
		return held_back(p, w, step, 0);
	if (is_too_long(w)) {
		cut_others(w);
		give_hop_back(w);
		return translate(p, w, 0) ? drop(w, DROP_FAILED) : deliver(w);
	}
	return translate(p, w, w->way.mtu) ? drop(w, DROP_FAILED) : send(p, w, VERDICT_SEND);
}

/* To a server on the director itself that has the virtual address. */
INLINE int stay(packet *p, const struct work *w)
{
	done_with(p);
	return accept(w);
}

/* Direct routing, and bypass to the packet's own target. */
SHARED int forward_direct(packet *p, struct work *w)
{
	int step;

	if (!w)
		return TC_ACT_SHOT;
	if (w->method == METHOD_BYPASS)
		step = prepare(p, w, w->family, w->daddr);
	else
		step = prepare(p, w, w->dest_family, w->naddr);
	if (step == STEP_LOCAL && w->method == METHOD_BYPASS)
		return drop(w, DROP_BOUNDARY);
	if (step == STEP_LOCAL)
		return stay(p, w);
	if (step == STEP_GO)
		step = checks(w, 0, 4, 1);
	/* The stack would keep what is for the virtual address: the client is told even if it may be cut. */
	if (step == STEP_GO && is_too_long(w))
		step = STEP_BIG;
	if (step != STEP_GO)
		return held_back(p, w, step, 0);
	return flush_header(p, w, 0) ? drop(w, DROP_FAILED) : send(p, w, VERDICT_SEND);
}

SHARED int forward_tunnel(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct dest *d = w ? dest_at(w->dest) : (struct dest *)0;
	__u32 outer, discover;
	int step, cut;

	if (!d || !g)
		return TC_ACT_SHOT;
	/* Another director's, whose server is not in the table here: nobody knows its tunnel. */
	if (!w->dest)
		return drop(w, DROP_ORPHAN);
	discover = g->settings & SETTING_PMTU_DISC;
	outer = overhead_of(d);
	step = prepare(p, w, d->family, d->address);
	if (step == STEP_LOCAL)
		return stay(p, w);
	if (d->path_mtu && w->now < d->path_mtu_until && d->path_mtu < w->way.mtu)
		w->way.mtu = d->path_mtu;
	/* Segments are made shorter by what goes before them. */
	if (p->gso_size && w->segment > outer)
		w->segment -= outer;
	if (step == STEP_GO)
		step = checks(w, outer, d->family, discover || w->family == 6);
	/* Who forwards IPv6 does not cut it. */
	if (step == STEP_GO && d->family == 6 && is_too_long(w))
		step = STEP_BIG;
	if (step != STEP_GO)
		return held_back(p, w, step, 0);
	if (flush_header(p, w, 0))
		return drop(w, DROP_FAILED);
	cut = is_too_long(w);
	if (cut)
		give_hop_back(w); /* to the outer header */
	if (encapsulate(p, w, discover, cut))
		return drop(w, DROP_FAILED);
	return cut ? send_home(p, w, VERDICT_SEND) : send(p, w, VERDICT_SEND);
}

INLINE int forward(packet *p, struct work *w)
{
	switch (w->method) {
	case METHOD_NAT:
	case METHOD_FULLNAT:
		return forward_nat(p, w);
	case METHOD_DR:
	case METHOD_BYPASS:
		return forward_direct(p, w);
	case METHOD_TUN:
		return forward_tunnel(p, w);
	}
	return accept(w);
}
