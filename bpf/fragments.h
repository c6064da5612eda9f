/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fragments. Nothing is reassembled here: the first fragment leaves its ports where the others find them. Others that come before it
 * are left to the stack.
 */
#pragma once

#include "maps.h"
#include "work.h"

/* As net.ipv4.ipfrag_time. */
#define FRAGMENT_NS (30000 * NS_PER_MS)

INLINE void fragment_key(struct frag_key *k, const struct work *w)
{
	copy_address(k->source, w->saddr);
	copy_address(k->target, w->daddr);
	k->id = w->frag_id;
	k->protocol = w->family == 4 ? w->protocol : 0;
	k->family = w->family;
}

/* 0 = the ports are known. */
SHARED int join_fragment(struct work *w)
{
	struct frag_key k = {};
	struct frag f = {}, *known;

	if (!w)
		return 1;
	fragment_key(&k, w);
	if (!(w->flow & FLOW_LATER)) {
		f.until = w->now + FRAGMENT_NS;
		f.source_port = w->sport;
		f.target_port = w->dport;
		f.protocol = w->protocol;
		bpf_map_update_elem(&frags, &k, &f, BPF_ANY);
		return 0;
	}
	known = bpf_map_lookup_elem(&frags, &k);
	if (!known || known->until <= w->now)
		return 1;
	w->sport = known->source_port;
	w->dport = known->target_port;
	w->protocol = known->protocol;
	if (known->cut)
		w->flow |= FLOW_CUT;
	return 0;
}

/*
 * Notes that the stack gets this first fragment to cut it: the others are to go the same way, since connection tracking holds what it
 * gets until it has all.
 */
SHARED int cut_others(struct work *w)
{
	struct frag_key k = {};
	struct frag *known;

	if (!w || (w->flow & (FLOW_FRAGMENT | FLOW_LATER)) != FLOW_FRAGMENT)
		return 0;
	fragment_key(&k, w);
	known = bpf_map_lookup_elem(&frags, &k);
	if (known)
		known->cut = 1;
	return 0;
}
