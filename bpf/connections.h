/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The connection table: a slab of slots, a hash from packet ends to slots, a queue of slots to use again.
 *
 * What keeps the counts exact: a slot's control word (generation, flags, state, phase) changes by compare-and-swap only, and whoever
 * takes it from LIVE to DYING, and nobody else, settles the counts, removes the keys and gives the slot back with the next
 * generation. Keys of requests are inserted with NOEXIST, so that each belongs to one connection; a key is removed by the connection
 * that it leads to only. A
 * reference whose generation is not the slot's is stale and counts as a miss.
 */
#pragma once

#include "destinations.h"
#include "work.h"

#define NEW_TIMEOUT_MS 3000
#define KEPT_TIMEOUT_MS 60000
/* Tries of a compare-and-swap: more CPUs at one connection at the same instant do not happen. */
#define TRIES 4

INLINE __u32 ctl_phase(__u64 ctl)
{
	return ctl & 0xff;
}
INLINE __u32 ctl_state(__u64 ctl)
{
	return (ctl >> CTL_STATE_SHIFT) & 0xff;
}
INLINE __u32 ctl_flags(__u64 ctl)
{
	return (ctl >> CTL_FLAGS_SHIFT) & 0xffff;
}
INLINE __u32 ctl_generation(__u64 ctl)
{
	return ctl >> CTL_GENERATION_SHIFT;
}
INLINE __u64 ctl_make(__u32 generation, __u32 flags, __u32 state, __u32 phase)
{
	return ((__u64)generation << CTL_GENERATION_SHIFT) | ((__u64)(flags & 0xffff) << CTL_FLAGS_SHIFT) |
	       (state << CTL_STATE_SHIFT) | phase;
}

/* --- keys ----------------------------------------------------------------------------------------------------------------- */

/*
 * Keys as their maps have them, where a lookup may read them: kernels of these years take keys from the stack and from maps, and not
 * through a pointer that a function was given.
 */
INLINE struct key4 *narrow(struct work *own, const struct key6 *k)
{
	struct key4 *k4 = &own->key4;

	k4->source = k->source[0];
	k4->target = k->target[0];
	k4->source_port = k->source_port;
	k4->target_port = k->target_port;
	k4->protocol = k->protocol;
	k4->kind = k->kind;
	k4->zero = 0;
	return k4;
}

INLINE struct key6 *own_key(struct work *own, const struct key6 *k)
{
	own->key6 = *k;
	return &own->key6;
}

INLINE long find_key(__u32 family, const struct key6 *k, struct conn_ref *found)
{
	struct work *own = the_work();
	struct conn_ref *ref;

	if (!own)
		return 0;
	if (family == 4)
		ref = bpf_map_lookup_elem(&conn4, narrow(own, k));
	else
		ref = bpf_map_lookup_elem(&conn6, own_key(own, k));
	if (!ref)
		return 0;
	*found = *ref;
	return 1;
}

INLINE long insert_key(__u32 family, const struct key6 *k, __u32 slot, __u32 tag, __u64 how)
{
	struct conn_ref ref = { .slot = slot, .tag = tag };
	struct work *own = the_work();

	if (!own)
		return 1;
	if (family == 4)
		return bpf_map_update_elem(&conn4, narrow(own, k), &ref, how);
	return bpf_map_update_elem(&conn6, own_key(own, k), &ref, how);
}

/* Removes a key if it is this slot's. On the stack: the sweeper may run while a packet is being handled. */
INLINE void remove_key(__u32 family, const struct key6 *k, __u32 slot)
{
	struct conn_ref *ref;

	if (family == 4) {
		struct key4 k4 = {
			.source = k->source[0],
			.target = k->target[0],
			.source_port = k->source_port,
			.target_port = k->target_port,
			.protocol = k->protocol,
			.kind = k->kind,
		};
		ref = bpf_map_lookup_elem(&conn4, &k4);
		if (ref && ref->slot == slot)
			bpf_map_delete_elem(&conn4, &k4);
	} else {
		struct key6 k6 = *k;

		ref = bpf_map_lookup_elem(&conn6, &k6);
		if (ref && ref->slot == slot)
			bpf_map_delete_elem(&conn6, &k6);
	}
}

/* The key of a connection's requests, or of a template. */
INLINE void request_key(struct key6 *k, const struct conn *c, __u32 flags)
{
	copy_address(k->source, c->client);
	copy_address(k->target, c->virtual);
	k->source_port = c->client_port;
	k->target_port = c->virtual_port;
	k->protocol = c->protocol;
	k->kind = flags & CONN_FLAG_TEMPLATE ? KIND_TEMPLATE : KIND_PACKET;
	k->zero = 0;
}

/* The key of a connection's replies, where they differ from reversed requests: NAT and full-NAT. */
INLINE int has_reply_key(__u32 flags)
{
	__u32 method = flags & CONN_FLAG_METHOD_MASK;

	return !(flags & CONN_FLAG_TEMPLATE) && (method == METHOD_NAT || method == METHOD_FULLNAT);
}

INLINE void reply_key(struct key6 *k, const struct conn *c, __u32 flags)
{
	int full = (flags & CONN_FLAG_METHOD_MASK) == METHOD_FULLNAT;

	copy_address(k->source, c->dest_address);
	copy_address(k->target, full ? c->local : c->client);
	k->source_port = c->dest_port;
	k->target_port = full ? c->local_port : c->client_port;
	k->protocol = c->protocol;
	k->kind = KIND_PACKET;
	k->zero = 0;
}

/* --- slots ---------------------------------------------------------------------------------------------------------------- */

/* A slot to fill, 0 when all are taken. */
INLINE __u32 take_slot(void)
{
	struct config *g = the_config();
	struct state *s = the_state();
	__u32 slot = 0;

	if (!g || !s)
		return 0;
	if (!bpf_map_pop_elem(&free_slots, &slot))
		return slot;
	if (READ_ONCE(s->fresh) >= g->slots)
		return 0;
	slot = ADD(&s->fresh, 1);
	return slot < g->slots ? slot : 0;
}

INLINE void give_slot(struct conn *c, __u32 slot, __u64 ctl)
{
	WRITE_ONCE(c->ctl, ctl_make(ctl_generation(ctl) + 1, 0, 0, PHASE_FREE));
	bpf_map_push_elem(&free_slots, &slot, 0);
}

INLINE void release_parent(struct conn *c)
{
	struct conn *parent = c->parent ? conn_at(c->parent) : (struct conn *)0;

	if (parent)
		SUB(&parent->children, 1);
}

/*
 * Ends a connection if nobody else did: 1 when this call did it. A template that still has connections stays.
 * Shared: packets that find it overdue, the sweeper, new connections that need its ends.
 */
SHARED int end_connection(__u32 slot)
{
	struct conn *c = conn_at(slot);
	struct key6 k;
	__u64 ctl;
	__u32 flags;

	if (!c)
		return 0;
	ctl = READ_ONCE(c->ctl);
	flags = ctl_flags(ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || READ_ONCE(c->children))
		return 0;
	if (CAS(&c->ctl, ctl, (ctl & ~0xffULL) | PHASE_DYING) != ctl)
		return 0;
	if (ADD(&c->children, 0)) {
		/* Adopted at the last moment. */
		WRITE_ONCE(c->ctl, ctl);
		return 0;
	}
	if (flags & CONN_FLAG_HASHED) {
		request_key(&k, c, flags);
		remove_key(c->family, &k, slot);
		if (has_reply_key(flags)) {
			reply_key(&k, c, flags);
			remove_key(c->family, &k, slot);
		}
	}
	if (c->dest) {
		if (flags & CONN_FLAG_TEMPLATE)
			unbind_template(c->dest);
		else
			unbind_connection(c->dest, flags & CONN_FLAG_INACTIVE);
	}
	release_parent(c);
	give_slot(c, slot, ctl);
	return 1;
}

/*
 * Makes a connection's ends free for another one, while it lives on uselessly until the sweeper comes: what ip_vs does with
 * connections that are rescheduled, and (with its time running on) with templates that must not match any more.
 */
SHARED int unhash_connection(__u32 slot, __u64 now, int expire)
{
	struct conn *c = conn_at(slot);
	struct key6 k;
	__u64 ctl;
	__u32 flags;

	if (!c)
		return 0;
	ctl = READ_ONCE(c->ctl);
	flags = ctl_flags(ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || !(flags & CONN_FLAG_HASHED))
		return 0;
	if (expire) {
		if (READ_ONCE(c->children))
			return 0;
		WRITE_ONCE(c->expires, now);
	}
	if (CAS(&c->ctl, ctl, ctl & ~((__u64)CONN_FLAG_HASHED << CTL_FLAGS_SHIFT)) != ctl)
		return 0;
	request_key(&k, c, flags);
	remove_key(c->family, &k, slot);
	if (has_reply_key(flags)) {
		reply_key(&k, c, flags);
		remove_key(c->family, &k, slot);
	}
	if (!expire) {
		c->virtual_port = 0xffff;
		c->dest_port = 0xffff;
	}
	return 1;
}

/* A connection's ends and state are its packet's; restarts its time. */
INLINE void restart(struct conn *c, __u64 now)
{
	WRITE_ONCE(c->expires, now + (__u64)READ_ONCE(c->timeout_ms) * NS_PER_MS);
}

/* --- lookups -------------------------------------------------------------------------------------------------------------- */

/* The live connection behind a reference; ends it when it is overdue. */
INLINE struct conn *follow(const struct conn_ref *ref, __u64 now)
{
	struct conn *c = conn_at(ref->slot);
	__u64 ctl;

	if (!c)
		return 0;
	ctl = READ_ONCE(c->ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || (ctl_generation(ctl) & 0x7fffffff) != ref->tag >> 1)
		return 0;
	if (READ_ONCE(c->expires) <= now && end_connection(ref->slot))
		return 0;
	return c;
}

/* Finds the connection of k; w->slot, w->tag and FLOW_REPLY tell which and in which direction. */
INLINE struct conn *find_connection(struct work *w, const struct key6 *k)
{
	struct conn_ref ref = {};
	struct conn *c;

	if (!find_key(w->family, k, &ref))
		return 0;
	c = follow(&ref, w->now);
	if (!c)
		return 0;
	w->slot = ref.slot;
	w->tag = ref.tag;
	if (ref.tag & 1)
		w->flow |= FLOW_REPLY;
	return c;
}

/* The key of a packet as it is. */
INLINE void packet_key(struct key6 *k, const struct work *w)
{
	copy_address(k->source, w->saddr);
	copy_address(k->target, w->daddr);
	k->source_port = w->sport;
	k->target_port = w->dport;
	k->protocol = w->protocol;
	k->kind = KIND_PACKET;
	k->zero = 0;
}

/* Finds the connection of a packet: the path of every packet, without a detour over the longer key for IPv4. */
INLINE struct conn *find_packet(struct work *w)
{
	struct conn_ref *found, ref;
	struct conn *c;

	if (w->family == 4) {
		struct key4 *k4 = &w->key4;

		k4->source = w->saddr[0];
		k4->target = w->daddr[0];
		k4->source_port = w->sport;
		k4->target_port = w->dport;
		k4->protocol = w->protocol;
		k4->kind = KIND_PACKET;
		k4->zero = 0;
		found = bpf_map_lookup_elem(&conn4, k4);
	} else {
		packet_key(&w->key6, w);
		found = bpf_map_lookup_elem(&conn6, &w->key6);
	}
	if (!found)
		return 0;
	ref = *found;
	c = follow(&ref, w->now);
	if (!c)
		return 0;
	w->slot = ref.slot;
	w->tag = ref.tag;
	if (ref.tag & 1)
		w->flow |= FLOW_REPLY;
	return c;
}

/* The key of its answer. */
INLINE void reversed_key(struct key6 *k, const struct work *w)
{
	copy_address(k->source, w->daddr);
	copy_address(k->target, w->saddr);
	k->source_port = w->dport;
	k->target_port = w->sport;
	k->protocol = w->protocol;
	k->kind = KIND_PACKET;
	k->zero = 0;
}

/* --- making --------------------------------------------------------------------------------------------------------------- */

/* What becomes of a new connection. */
enum { MADE = 0, MADE_TWIN = 1, MADE_NOTHING = 2 };

/*
 * Two connections of one client port may meet at one server port: the newest gets the replies, as with ip_vs. Full-NAT looks for a
 * port of its own instead.
 */
INLINE long insert_reply_key(struct work *w, __u32 slot, __u32 tag)
{
	struct conn_ref there = {};

	if (!insert_key(w->family, &w->key, slot, tag, BPF_NOEXIST))
		return 0;
	if (w->method == METHOD_FULLNAT || (find_key(w->family, &w->key, &there) && !(there.tag & 1)))
		return 1;
	return insert_key(w->family, &w->key, slot, tag, BPF_ANY);
}

/* Fills a slot from the worksheet and hashes it. MADE_TWIN: another CPU just made the same connection; look it up. */
SHARED int make_connection(struct work *w)
{
	__u32 slot, generation, flags;
	struct conn *c;
	__u64 ctl;

	if (!w)
		return MADE_NOTHING;
	slot = take_slot();
	c = slot ? conn_at(slot) : (struct conn *)0;
	if (!c) {
		w->reason = DROP_TABLE_FULL;
		return MADE_NOTHING;
	}
	generation = ctl_generation(READ_ONCE(c->ctl));
	flags = w->conn_flags | CONN_FLAG_HASHED;
	c->expires = w->now + NEW_TIMEOUT_MS * NS_PER_MS;
	c->timeout_ms = NEW_TIMEOUT_MS;
	c->dest = w->dest;
	c->in_packets = 0;
	c->parent = w->parent;
	c->protocol = w->protocol;
	c->family = w->family;
	c->dest_family = w->dest_family;
	c->marks = 0;
	c->client_port = w->sport;
	c->virtual_port = w->dport;
	c->dest_port = w->nport;
	c->local_port = w->lport;
	c->service = w->scheduled;
	c->fwmark = w->mark;
	c->seq_delta = 0;
	c->server_isn = 0;
	copy_address(c->client, w->saddr);
	copy_address(c->virtual, w->daddr);
	copy_address(c->dest_address, w->naddr);
	copy_address(c->local, w->laddr);
	ctl = ctl_make(generation, flags, 0, PHASE_LIVE);
	WRITE_ONCE(c->ctl, ctl);
	request_key(&w->key, c, flags);
	if (insert_key(w->family, &w->key, slot, generation << 1, BPF_NOEXIST)) {
		give_slot(c, slot, ctl);
		return MADE_TWIN;
	}
	if (has_reply_key(flags)) {
		reply_key(&w->key, c, flags);
		if (insert_reply_key(w, slot, (generation << 1) | 1)) {
			request_key(&w->key, c, flags);
			remove_key(w->family, &w->key, slot);
			give_slot(c, slot, ctl);
			w->reason = DROP_NO_PORT;
			return MADE_NOTHING;
		}
	}
	w->slot = slot;
	w->tag = generation << 1;
	w->flow |= FLOW_FRESH;
	return MADE;
}
