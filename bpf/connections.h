/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The connection table: a slab of slots, a hash table of references to slots (buckets.h), a queue of slots to use again.
 *
 * What keeps the counts exact: a slot's control word (generation, flags, state, phase) changes by compare-and-swap only, and whoever
 * takes it from LIVE to DYING, and nobody else, settles the counts, removes the keys and gives the slot back with the next
 * generation. A key of requests belongs to one connection.
 */
#pragma once

#include "buckets.h"
#include "calls.h"
#include "destinations.h"

#define NEW_TIMEOUT_MS 3000
#define KEPT_TIMEOUT_MS 60000
/* Tries of a compare-and-swap: more CPUs at one connection at the same instant do not happen. */
#define TRIES 4

/* --- keys ----------------------------------------------------------------------------------------------------------------- */

/* The key of a connection's requests, or of a template. */
INLINE void request_key(struct key *k, const struct conn *c, __u32 flags)
{
	GET_END(k->source, c, client, c->family);
	GET_END(k->target, c, virtual, c->family);
	k->source_port = c->client_port;
	k->target_port = c->virtual_port;
	k->protocol = c->protocol;
	k->kind = flags & CONN_FLAG_TEMPLATE ? KIND_TEMPLATE : KIND_PACKET;
	k->family = c->family;
}

/* The key of a connection's replies, if has_reply_key(). */
INLINE void reply_key(struct key *k, const struct conn *c, __u32 flags)
{
	int full = (flags & CONN_FLAG_METHOD_MASK) == METHOD_FULLNAT;

	GET_END(k->source, c, dest_address, c->family);
	if (full)
		GET_END(k->target, c, local, c->family);
	else
		GET_END(k->target, c, client, c->family);
	k->source_port = c->dest_port;
	k->target_port = full ? c->local_port : c->client_port;
	k->protocol = c->protocol;
	k->kind = KIND_PACKET;
	k->family = c->family;
}

/* The key of a packet as it is. */
INLINE void packet_key(struct key *k, const struct work *w)
{
	copy_address(k->source, w->saddr);
	copy_address(k->target, w->daddr);
	k->source_port = w->sport;
	k->target_port = w->dport;
	k->protocol = w->protocol;
	k->kind = KIND_PACKET;
	k->family = w->family;
}

/* The key of its answer. */
INLINE void reversed_key(struct key *k, const struct work *w)
{
	copy_address(k->source, w->daddr);
	copy_address(k->target, w->saddr);
	k->source_port = w->dport;
	k->target_port = w->sport;
	k->protocol = w->protocol;
	k->kind = KIND_PACKET;
	k->family = w->family;
}

/* Takes a connection's keys out. On the stack: the sweeper may run while a packet is being handled. */
INLINE void remove_keys(const struct conn *c, __u32 slot, __u32 flags)
{
	struct key k;

	if (c->marks & CONN_MARK_CALL) {
		unhash_call(slot);
		return;
	}
	request_key(&k, c, flags);
	remove_key(&k, slot);
	if (!has_reply_key(flags))
		return;
	reply_key(&k, c, flags);
	remove_key(&k, slot | REF_REPLY);
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
	/* Asking the queue takes a lock. */
	if (READ_ONCE(s->freed) || READ_ONCE(s->fresh) >= g->slots) {
		if (!bpf_map_pop_elem(&free_slots, &slot))
			return slot;
		WRITE_ONCE(s->freed, 0);
	}
	if (READ_ONCE(s->fresh) >= g->slots)
		return 0;
	slot = ADD(&s->fresh, 1);
	return slot < g->slots ? slot : 0;
}

INLINE void give_slot(struct conn *c, __u32 slot, __u64 ctl)
{
	struct state *s = the_state();

	WRITE_ONCE(c->ctl, ctl_make(ctl_generation(ctl) + 1, 0, 0, PHASE_FREE));
	bpf_map_push_elem(&free_slots, &slot, 0);
	if (s && !READ_ONCE(s->freed))
		WRITE_ONCE(s->freed, 1);
}

INLINE void release_parent(struct conn *c)
{
	struct conn *parent = c->parent ? conn_at(c->parent) : (struct conn *)0;

	if (parent)
		SUB(&parent->children, 1);
}

/* An FTP data connection is there that waits for its client's port; it got it, or ends without. */
INLINE void start_waiting(void)
{
	struct state *s = the_state();

	if (s)
		ADD(&s->waiting, 1);
}

INLINE void stop_waiting(void)
{
	struct state *s = the_state();

	if (s)
		SUB(&s->waiting, 1);
}

/*
 * Ends a connection if nobody else did: 1 when this call did it. A template that still has connections stays.
 * Shared: packets that find it overdue, the sweeper, new connections that need its ends.
 */
SHARED int end_connection(__u32 slot)
{
	struct conn *c = conn_at(slot);
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
	if (flags & CONN_FLAG_HASHED)
		remove_keys(c, slot, flags);
	if (c->marks & CONN_MARK_CALL)
		bpf_map_delete_elem(&call_ids, &slot);
	if (c->dest) {
		if (flags & CONN_FLAG_TEMPLATE)
			unbind_template(c->dest);
		else
			unbind_connection(c->dest, flags & CONN_FLAG_INACTIVE);
	}
	if (flags & CONN_FLAG_NO_CLIENT_PORT)
		stop_waiting();
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
	__u64 ctl;
	__u32 flags;

	if (!c)
		return 0;
	ctl = READ_ONCE(c->ctl);
	flags = ctl_flags(ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || !(flags & CONN_FLAG_HASHED))
		return 0;
	/* One that controls others stays for them, out of sight. */
	if (expire && !READ_ONCE(c->children))
		WRITE_ONCE(c->expires, now);
	if (CAS(&c->ctl, ctl, ctl & ~((__u64)CONN_FLAG_HASHED << CTL_FLAGS_SHIFT)) != ctl)
		return 0;
	remove_keys(c, slot, flags);
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
INLINE struct conn *follow(__u64 ref, __u64 now)
{
	struct conn *c = ref ? conn_at(ref) : (struct conn *)0;

	if (!c || ctl_phase(READ_ONCE(c->ctl)) != PHASE_LIVE)
		return 0;
	if (READ_ONCE(c->expires) <= now && end_connection(ref))
		return 0;
	return c;
}

/* What a packet keeps of a reference: w->slot, w->tag and FLOW_REPLY tell which connection it is and in which direction. */
INLINE void take_up(struct work *w, const struct conn *c, __u64 ref)
{
	w->slot = ref;
	w->tag = (ctl_generation(READ_ONCE(c->ctl)) << 1) | (ref & REF_REPLY ? 1 : 0);
	if (ref & REF_REPLY)
		w->flow |= FLOW_REPLY;
}

/* Finds the connection of a key, and takes it up. */
INLINE struct conn *find_connection(struct work *w, const struct key *k)
{
	__u64 ref = find_ref(k);
	struct conn *c = follow(ref, w->now);

	if (c)
		take_up(w, c, ref);
	return c;
}

/* Finds the connection of a packet. */
INLINE struct conn *find_packet(struct work *w)
{
	packet_key(&w->key, w);
	return find_connection(w, &w->key);
}

/* --- making --------------------------------------------------------------------------------------------------------------- */

/* What becomes of a new connection. */
enum { MADE = 0, MADE_TWIN = 1, MADE_NOTHING = 2 };

/*
 * Two connections of one client port may meet at one server port: the newest gets the replies, as with ip_vs. Full-NAT looks for a
 * port of its own instead.
 */
INLINE int insert_reply_key(struct key *k, const struct conn *c, __u64 ctl, __u32 slot)
{
	__u32 how = (ctl_flags(ctl) & CONN_FLAG_METHOD_MASK) == METHOD_FULLNAT ? 0 : REPLACES;

	if (insert_key(k, c, ctl, slot | REF_REPLY, how) == KEY_IN)
		return 1;
	/* Of two that replace one at the same instant one may have lost: it is the newest now. */
	return how && insert_key(k, c, ctl, slot | REF_REPLY, how) == KEY_IN;
}

/*
 * Gives back the slot of a connection that could not be made; `ctl` made it live. Who ended it before, as expire_nodest_conn
 * does, settled counts that nobody had begun.
 */
SHARED int unmake(struct work *w, __u32 slot, __u64 ctl)
{
	struct conn *c = conn_at(slot), *parent;
	__u64 now;

	if (!w || !c)
		return 0;
	for (int i = 0; i < TRIES; i++) {
		now = READ_ONCE(c->ctl);
		if ((now ^ ctl) & CTL_WHO)
			break;
		if (CAS(&c->ctl, now, (now & ~0xffULL) | PHASE_DYING) != now)
			continue;
		/* Packets that found it may have moved its state, and the counts that it is not part of. */
		if (ctl_flags(now ^ ctl) & CONN_FLAG_INACTIVE)
			move_connection(w->dest, !(ctl_flags(ctl) & CONN_FLAG_INACTIVE));
		give_slot(c, slot, ctl);
		return 0;
	}
	if (w->dest && (w->conn_flags & CONN_FLAG_TEMPLATE))
		bind_template(w->dest);
	else if (w->dest)
		bind_connection(w->dest);
	if (w->conn_flags & CONN_FLAG_NO_CLIENT_PORT)
		start_waiting();
	parent = w->parent ? conn_at(w->parent) : (struct conn *)0;
	if (parent)
		ADD(&parent->children, 1);
	return 0;
}

/* The mark of the first packet. Mostly there is none, and the second cache line is left alone. */
INLINE void put_mark(struct conn *c, __u32 mark)
{
	if (mark || (c->marks & CONN_MARK_FWMARK))
		c->fwmark = mark;
	c->marks = mark ? CONN_MARK_FWMARK : 0;
}

/* Writes what the worksheet says of a new connection into its slot, but for the control word. */
INLINE void fill_slot(struct conn *c, struct work *w)
{
	c->expires = w->now + NEW_TIMEOUT_MS * NS_PER_MS;
	c->timeout_ms = NEW_TIMEOUT_MS;
	c->dest = w->dest;
	c->in_packets = 0;
	c->parent = w->parent;
	c->protocol = w->protocol;
	c->family = w->family;
	c->dest_family = w->dest_family;
	put_mark(c, w->mark);
	c->client_port = w->sport;
	c->virtual_port = w->dport;
	c->dest_port = w->nport;
	c->local_port = w->lport;
	c->service = w->scheduled;
	SET_END(c, client, w->saddr, w->family);
	SET_END(c, virtual, w->daddr, w->family);
	SET_END(c, dest_address, w->naddr, w->dest_family);
	SET_END(c, local, w->laddr, w->family);
}

/* Fills a slot from the worksheet and hashes it. MADE_TWIN: another CPU just made the same connection; look it up. */
SHARED int make_connection(struct work *w)
{
	__u32 slot, generation, flags;
	struct conn *c;
	__u64 ctl;
	int made;

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
	fill_slot(c, w);
	if ((flags & CONN_FLAG_WATCHED) || w->method == METHOD_FULLNAT)
		c->seq_delta = c->server_isn = 0;
	ctl = ctl_make(generation, flags, 0, PHASE_LIVE);
	WRITE_ONCE(c->ctl, ctl);
	request_key(&w->key, c, flags);
	made = insert_key(&w->key, c, ctl, slot, 0);
	if (made != KEY_IN) {
		unmake(w, slot, ctl);
		if (made == KEY_TAKEN)
			return MADE_TWIN;
		w->reason = DROP_TABLE_FULL;
		return MADE_NOTHING;
	}
	if (has_reply_key(flags)) {
		reply_key(&w->key, c, flags);
		if (!insert_reply_key(&w->key, c, ctl, slot)) {
			request_key(&w->key, c, flags);
			remove_key(&w->key, slot);
			unmake(w, slot, ctl);
			w->reason = DROP_NO_PORT;
			return MADE_NOTHING;
		}
	}
	w->slot = slot;
	w->tag = generation << 1;
	w->flow |= FLOW_FRESH;
	return MADE;
}
