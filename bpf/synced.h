/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Connections of another director: takes what a master announced into the table (core/sync/backup.ts). The sync process writes entries
 * into sync_inbox and test-runs lvsd_synced; so they are made by the same code as those of packets, and with the same care for packets
 * that come meanwhile.
 */
#pragma once

#include "sequence.h"
#include "services.h"
#include "states.h"

/* A worksheet of its own: a packet may interrupt a test run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} sync_work SEC(".maps");

INLINE struct work *sync_worksheet(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&sync_work, &zero);
}

/*
 * The destination that the entry is for, if it still belongs to the service that the process found it in, and did not become one by
 * full-NAT, or cease to be, since: a connection counts on its local end.
 */
INLINE struct dest *entry_dest(const struct sync_entry *e)
{
	struct dest *d = e->dest ? dest_at(e->dest) : (struct dest *)0;

	if (!d || !(READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE) || d->service != e->service)
		return 0;
	return (e->flags & CONN_FLAG_TEMPLATE) || (d->method == METHOD_FULLNAT) == (e->local_port != 0) ? d : (struct dest *)0;
}

/* One more connection of a destination, inactive until its state says otherwise. */
INLINE void bind_synced(__u32 dest, __u32 flags)
{
	if (flags & CONN_FLAG_TEMPLATE)
		bind_template(dest);
	else
		bind_connection(dest);
}

/* --- templates of SIP calls ----------------------------------------------------------------------------------------------- */

/* The template of the call at place i of sync_calls; w->slot. */
INLINE struct conn *find_synced_call(struct work *w, __u32 i)
{
	struct call *call = bpf_map_lookup_elem(&sync_calls, &i);
	struct call_ref *ref = call ? bpf_map_lookup_elem(&calls, call) : (struct call_ref *)0;
	__u32 slot = ref ? ref->slot : 0, generation = ref ? ref->generation : 0;
	struct conn *c = follow(slot, w->now);

	if (!c || ctl_generation(READ_ONCE(c->ctl)) != generation)
		return 0;
	take_up(w, c, slot);
	return c;
}

/* make_connection() of a template that is found by the call at place i of sync_calls. */
SHARED int make_synced_call(struct work *w, __u32 i)
{
	struct call *call = bpf_map_lookup_elem(&sync_calls, &i);
	__u32 slot, generation;
	struct conn *c;
	__u64 ctl;

	if (!w || !call)
		return MADE_NOTHING;
	slot = take_slot();
	c = slot ? conn_at(slot) : (struct conn *)0;
	if (!c)
		return MADE_NOTHING;
	generation = ctl_generation(READ_ONCE(c->ctl));
	fill_slot(c, w);
	c->marks |= CONN_MARK_CALL;
	ctl = ctl_make(generation, w->conn_flags | CONN_FLAG_HASHED, 0, PHASE_LIVE);
	WRITE_ONCE(c->ctl, ctl);
	if (bpf_map_update_elem(&call_ids, &slot, call, BPF_ANY) || rehash_call(slot, generation)) {
		bpf_map_delete_elem(&call_ids, &slot);
		unmake(w, slot, ctl);
		return MADE_TWIN;
	}
	w->slot = slot;
	w->tag = generation << 1;
	return MADE;
}

/* --- entries -------------------------------------------------------------------------------------------------------------- */

/* Whether another connection has the entry's local end, and gives it up: the end of a connection takes none away from a new one. */
INLINE int clear_way(struct work *w, const struct sync_entry *e)
{
	__u64 ref;

	if (w->reason != DROP_NO_PORT || e->outcome == SYNC_OUTCOME_WAITS_NEW)
		return 0;
	if ((e->flags & CONN_FLAG_INACTIVE) && e->protocol != PROTO_UDP)
		return 0;
	copy_address(w->key.source, e->dest_address);
	copy_address(w->key.target, e->local);
	w->key.source_port = e->dest_port;
	w->key.target_port = e->local_port;
	w->key.protocol = e->protocol;
	w->key.kind = KIND_PACKET;
	w->key.family = e->family;
	ref = find_ref(&w->key);
	return ref ? unhash_connection(ref, w->now, 1) : 0;
}

/* Makes the connection of the entry at place i, without its state; w->slot. */
SHARED int make_synced(struct work *w, __u32 i)
{
	struct sync_entry *e = bpf_map_lookup_elem(&sync_inbox, &i);
	struct dest *d;
	int made;

	if (!w || !e)
		return MADE_NOTHING;
	w->reason = 0;
	d = entry_dest(e);
	w->sport = e->client_port;
	w->dport = e->virtual_port;
	w->nport = e->dest_port;
	w->lport = e->local_port;
	copy_address(w->laddr, e->local);
	copy_address(w->naddr, e->dest_address);
	w->dest_family = e->family;
	w->mark = e->fwmark;
	w->parent = 0;
	w->scheduled = e->service;
	w->dest = d ? e->dest : 0;
	/* Of a destination here its own method counts. */
	w->method = d ? d->method : e->flags & CONN_FLAG_METHOD_MASK;
	w->conn_flags = w->method | CONN_FLAG_SYNC | CONN_FLAG_INACTIVE | (e->flags & CONN_FLAG_TEMPLATE);
	if (d ? w->method != METHOD_NAT && w->method != METHOD_FULLNAT : e->flags & CONN_FLAG_NO_OUTPUT)
		w->conn_flags |= CONN_FLAG_NO_OUTPUT;
	if (w->conn_flags == (METHOD_NAT | CONN_FLAG_SYNC | CONN_FLAG_INACTIVE) && e->protocol == PROTO_TCP &&
	    e->virtual_port == bpf_htons(FTP_PORT))
		w->conn_flags |= CONN_FLAG_WATCHED;
	made = e->marks & SYNC_MARK_CALL ? make_synced_call(w, i) : make_connection(w);
	if (made == MADE && w->dest)
		bind_synced(w->dest, w->conn_flags);
	return made;
}

/* Gives a connection the state of the entry. */
INLINE void settle(struct work *w, struct conn *c, const struct sync_entry *e)
{
	__u32 flags = 0, wanted;
	int moved = 0;

	if (e->marks & SYNC_MARK_SEQUENCE)
		WRITE_ONCE(*stream_of(c), (__u64)e->server_isn << 32 | e->seq_delta);
	if (e->marks & SYNC_MARK_SERVER_ISN)
		c->marks |= CONN_MARK_SERVER_ISN;
	WRITE_ONCE(c->in_packets, e->packets);
	WRITE_ONCE(c->timeout_ms, e->timeout_ms);
	for (int i = 0; i < TRIES; i++) {
		__u64 ctl = READ_ONCE(c->ctl);

		if (ctl_phase(ctl) != PHASE_LIVE || (ctl_generation(ctl) & 0x7fffffff) != w->tag >> 1)
			return;
		flags = ctl_flags(ctl);
		wanted = flags;
		if (!(flags & CONN_FLAG_TEMPLATE))
			wanted = (flags & ~CONN_FLAG_INACTIVE) | (e->flags & CONN_FLAG_INACTIVE);
		if (CAS(&c->ctl, ctl, ctl_make(ctl_generation(ctl), wanted, e->state, PHASE_LIVE)) == ctl) {
			moved = flags != wanted;
			break;
		}
	}
	if (moved && c->dest)
		move_connection(c->dest, flags & CONN_FLAG_INACTIVE);
	restart(c, w->now);
}

/* What a connection that is here is to an entry with its ends. */
enum { KNOWN, ELSEWHERE, LATE };

INLINE int compare(const struct conn *c, const struct sync_entry *e)
{
	if (c->dest_port != e->dest_port || !IS_END(c, dest_address, e->dest_address, e->family))
		return e->flags & CONN_FLAG_TEMPLATE ? KNOWN : ELSEWHERE;
	if (c->local_port != e->local_port || (e->local_port && !IS_END(c, local, e->local, e->family)))
		return ELSEWHERE;
	/* Its server is here now: bound by being made anew, as the method here may need other keys. */
	return !c->dest && entry_dest(e) ? LATE : KNOWN;
}

/* Takes the entry at place i: SYNC_OUTCOME_*. Left waiting when a packet made the same connection at the same moment. */
SHARED int take_entry(__u32 i)
{
	struct sync_entry *e = bpf_map_lookup_elem(&sync_inbox, &i);
	struct work *w = sync_worksheet();
	struct config *g = the_config();
	struct conn *c;
	int made, found;

	if (!e || !w || !g)
		return SYNC_OUTCOME_FAILED;
	w->now = now_ns(g);
	w->family = e->family;
	w->protocol = e->protocol;
	w->flow = 0;
	w->hook = HOOK_INGRESS;
	w->reason = 0;
	copy_address(w->saddr, e->client);
	copy_address(w->daddr, e->virtual);
	w->sport = e->client_port;
	w->dport = e->virtual_port;
	packet_key(&w->key, w);
	if (e->flags & CONN_FLAG_TEMPLATE)
		w->key.kind = KIND_TEMPLATE;
	c = e->marks & SYNC_MARK_CALL ? find_synced_call(w, i) : find_connection(w, &w->key);
	/* The key of another connection's replies. */
	if (c && (w->flow & FLOW_REPLY))
		return SYNC_OUTCOME_IGNORED;
	if (c && e->outcome == SYNC_OUTCOME_WAITS_NEW)
		return SYNC_OUTCOME_IGNORED;
	found = c ? compare(c, e) : KNOWN;
	/* An inactive one is the end of a connection that was replaced here already. */
	if (found == ELSEWHERE && (e->flags & CONN_FLAG_INACTIVE))
		return SYNC_OUTCOME_IGNORED;
	if (c && found == KNOWN) {
		settle(w, c, e);
		return SYNC_OUTCOME_UPDATED;
	}
	if (c)
		unhash_connection(w->slot, w->now, 1);
	made = make_synced(w, i);
	if (made == MADE_NOTHING && clear_way(w, e))
		made = make_synced(w, i);
	if (made == MADE_TWIN)
		return e->outcome;
	if (made != MADE)
		return SYNC_OUTCOME_FAILED;
	c = conn_at(w->slot);
	if (c)
		settle(w, c, e);
	return SYNC_OUTCOME_MADE;
}

static long take_next(__u32 i, void *context)
{
	struct sync_entry *e = bpf_map_lookup_elem(&sync_inbox, &i);
	__u32 waits;

	(void)context;
	if (!e)
		return 1;
	waits = e->outcome;
	if (waits != SYNC_OUTCOME_WAITS && waits != SYNC_OUTCOME_WAITS_NEW)
		return 1;
	e->outcome = take_entry(i);
	if (e->outcome == waits)
		e->outcome = take_entry(i);
	if (e->outcome == waits)
		e->outcome = SYNC_OUTCOME_FAILED;
	return 0;
}
