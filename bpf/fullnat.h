/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Full-NAT: requests leave from a local address of the director, so that real servers need no route back through it. A free local
 * port is one for which the key of replies can be inserted.
 */
#pragma once

#include "connections.h"
#include "random.h"

/* Ports outside the range from which Linux takes ports for sockets (32768..60999). */
#define LOW_FROM 1025
#define LOW_COUNT (32768 - 1025)
#define HIGH_FROM 61000
#define HIGH_COUNT (65536 - 61000)
#define FULLNAT_PORTS (LOW_COUNT + HIGH_COUNT)
/* Ports of a local address, and local addresses, that are tried for a connection. */
#define FULLNAT_TRIES 256
#define FULLNAT_ADDRESSES 16

INLINE __be16 fullnat_port(__u32 n)
{
	return bpf_htons(n < LOW_COUNT ? LOW_FROM + n : HIGH_FROM + n - LOW_COUNT);
}

struct port_search {
	__u32 at;
	__u32 stride;
	__u32 made;
	__u32 zero;
};

/* The port for one packet: nothing is made, but it must be free. */
INLINE __u32 try_once(struct work *w)
{
	copy_address(w->key.source, w->naddr);
	copy_address(w->key.target, w->laddr);
	w->key.source_port = w->nport;
	w->key.target_port = w->lport;
	w->key.protocol = w->protocol;
	w->key.kind = KIND_PACKET;
	w->key.family = w->family;
	if (!find_ref(&w->key))
		return MADE;
	w->reason = DROP_NO_PORT;
	return MADE_NOTHING;
}

/* The local address: of the service's list in turn, else the one that routing prefers towards the server. */
INLINE void local_address(struct work *w)
{
	struct dest *d = dest_at(w->dest);
	__u32 service = w->service, at;
	struct service_state *s = bpf_map_lookup_elem(&service_state, &service);
	struct address *chosen = 0;

	if (s && w->local_count) {
		at = w->local_at + ADD(&s->local_turn, 1) % w->local_count;
		chosen = bpf_map_lookup_elem(&locals, &at);
	}
	if (chosen)
		copy_address(w->laddr, chosen->word);
	else if (d)
		copy_address(w->laddr, d->source);
}

/* Strides of chance do not run along the clusters that earlier ones left. */
INLINE void begin_search(struct work *w, struct port_search *search)
{
	local_address(w);
	search->at = chance(w->test, FULLNAT_PORTS);
	search->stride = 1 + chance(w->test, FULLNAT_PORTS - 1);
}

static long try_port(__u32 i, void *context)
{
	struct port_search *search = context;
	struct work *w = the_work();

	if (!w)
		return 1;
	if (i % FULLNAT_TRIES == 0)
		begin_search(w, search);
	search->at = (search->at + search->stride) % FULLNAT_PORTS;
	w->lport = fullnat_port(search->at);
	w->reason = 0;
	search->made = w->onepacket ? try_once(w) : make_connection(w);
	return search->made != MADE_NOTHING || w->reason != DROP_NO_PORT;
}

/* make_connection() with a local address and port. */
INLINE int make_fullnat(struct work *w)
{
	struct port_search search = {};
	__u32 addresses;

	addresses = w->local_count ? w->local_count : 1;
	if (addresses > FULLNAT_ADDRESSES)
		addresses = FULLNAT_ADDRESSES;
	search.at = search.stride = w->zero;
	search.made = MADE_NOTHING + w->zero;
	bpf_loop(FULLNAT_TRIES * addresses, try_port, &search, 0);
	return search.made;
}
