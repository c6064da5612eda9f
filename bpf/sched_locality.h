/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The schedulers that remember what they chose for a destination address: lblc and lblcr (src/core/schedulers/lblc.ts, lblcr.ts).
 * The cache throws out what was not used for longest when it is full, where ip_vs stops to remember; of a replicated set it holds 32.
 */
#pragma once

#include "schedulers.h"

#define LOCALITIES 24576
#define NS_PER_S 1000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LOCALITIES);
	__type(key, struct locality_key);
	__type(value, struct locality);
} locality SEC(".maps");

/* A new entry, too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locality);
} new_locality SEC(".maps");

static long is_idle(__u32 index, void *unused)
{
	struct work *w = the_work();
	struct load *l;

	(void)unused;
	if (!w)
		return 1;
	l = load_of(order_at(w->scan.at + index));
	if (!l || READ_ONCE(l->active) * 2ULL >= READ_ONCE(l->weight))
		return 0;
	w->scan.idle = 1;
	return 1;
}

/* Has more active connections than its weight while another has fewer than half of its own. */
INLINE int outdone(struct work *w, const struct load *l)
{
	if (READ_ONCE(l->active) <= READ_ONCE(l->weight))
		return 0;
	w->scan.idle = 0;
	bpf_loop(w->scan.count, is_idle, (void *)0, 0);
	return w->scan.idle;
}

INLINE int is_member(__u32 id, __u32 service)
{
	struct dest *d = dest_at(id);

	return id && d && d->service == service && (READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE);
}

/* A service's part of the keys: what it remembered with a scheduler before, or under an id that was another's, is found no more. */
INLINE __u32 era_of(__u32 service)
{
	struct service_state *s = bpf_map_lookup_elem(&service_state, &service);

	return service | (s ? s->era << 16 : 0);
}

/* The entry of the packet's address; one that was left alone for too long counts as none. */
INLINE struct locality *locality_of(struct work *w, __u32 service, __u32 expiration_s)
{
	struct locality_key key = { .era = era_of(service) };
	struct locality *l;

	copy_address(key.address, w->daddr);
	l = bpf_map_lookup_elem(&locality, &key);
	if (!l || w->now - l->last_use > expiration_s * NS_PER_S)
		return (void *)0;
	l->last_use = w->now;
	return l;
}

INLINE void remember(struct work *w, __u32 service, __u32 dest)
{
	struct locality_key key = { .era = era_of(service) };
	__u32 zero = 0;
	struct locality *l = bpf_map_lookup_elem(&new_locality, &zero);

	if (!l)
		return;
	copy_address(key.address, w->daddr);
	l->last_use = w->now;
	l->last_change = w->now;
	l->count = 1;
	l->members[0] = dest;
	bpf_map_update_elem(&locality, &key, l, BPF_ANY);
}

/* Locality-based least connection. */
SHARED int pick_lblc(struct work *w, __u32 service)
{
	struct config *c = the_config();
	struct locality *entry;
	struct load *l;
	__u32 id;

	if (!w || !c)
		return 0;
	entry = locality_of(w, service, c->lblc_expiration_s);
	if (entry) {
		id = entry->members[0];
		l = load_of(id);
		/* The overload flag of the remembered one is not looked at, as in the kernel. */
		if (l && is_member(id, service) && READ_ONCE(l->weight) && !outdone(w, l))
			return id;
	}
	id = scan_all(w, SCHEDULER_WLC);
	if (!id)
		return 0;
	if (entry)
		entry->members[0] = id;
	else
		remember(w, service, id);
	return id;
}

/* The walk over the members of an entry. */
struct members {
	struct locality *entry;
	__u32 service;
	__u32 least;
	__u32 greatest; /* index + 1 */
	__u32 found;	/* index + 1 of `wanted` */
	__u32 wanted;
	__u64 least_load, least_weight;
	__u64 greatest_load, greatest_weight;
};

static long weigh_member(__u32 i, struct members *m)
{
	__u32 id = m->entry->members[i & (LIMIT_MEMBERS - 1)];
	struct load *l = load_of(id);
	__u64 load, weight;

	if (!l)
		return 0;
	weight = READ_ONCE(l->weight);
	load = ACTIVE_FACTOR * READ_ONCE(l->active) + READ_ONCE(l->inactive);
	if (id == m->wanted)
		m->found = i + 1;
	if (!weight)
		return 0;
	if (!m->greatest || load * m->greatest_weight > m->greatest_load * weight) {
		m->greatest = i + 1;
		m->greatest_load = load;
		m->greatest_weight = weight;
	}
	if (READ_ONCE(l->overloaded) || !is_member(id, m->service))
		return 0;
	if (!m->least || m->least_load * weight > load * m->least_weight) {
		m->least = id;
		m->least_load = load;
		m->least_weight = weight;
	}
	return 0;
}

INLINE void weigh_members(struct work *w, struct members *m)
{
	/* Not constants: kernels before 6.7 would believe that they stay 0. */
	m->least = w->zero;
	m->greatest = w->zero;
	m->found = w->zero;
	m->least_load = m->least_weight = w->zero;
	m->greatest_load = m->greatest_weight = w->zero;
	bpf_loop(m->entry->count & (2 * LIMIT_MEMBERS - 1), weigh_member, m, 0);
}

static long close_gap(__u32 i, struct members *m)
{
	__u32 at = m->greatest - 1 + i;

	m->entry->members[at & (LIMIT_MEMBERS - 1)] = m->entry->members[(at + 1) & (LIMIT_MEMBERS - 1)];
	return 0;
}

static long make_gap(__u32 i, struct members *m)
{
	__u32 at = LIMIT_MEMBERS - 1 - i;

	m->entry->members[at & (LIMIT_MEMBERS - 1)] = m->entry->members[(at - 1) & (LIMIT_MEMBERS - 1)];
	return 0;
}

/* Locality-based least connection with replication. */
SHARED int pick_lblcr(struct work *w, __u32 service)
{
	struct config *c = the_config();
	struct members m = {};
	struct load *l;
	__u32 id, count;

	if (!w || !c)
		return 0;
	m.entry = locality_of(w, service, c->lblcr_expiration_s);
	m.service = service;
	if (!m.entry) {
		id = scan_all(w, SCHEDULER_WLC);
		if (id)
			remember(w, service, id);
		return id;
	}
	weigh_members(w, &m);
	id = m.least;
	count = m.entry->count;
	if (count > 1 && w->now - m.entry->last_change > c->lblcr_expiration_s * NS_PER_S && m.greatest) {
		bpf_loop((count - m.greatest) & (LIMIT_MEMBERS - 1), close_gap, &m, 0);
		m.entry->count = count - 1;
		m.entry->last_change = w->now;
	}
	l = load_of(id);
	if (id && l && !outdone(w, l))
		return id;
	id = scan_all(w, SCHEDULER_WLC);
	if (!id)
		return 0;
	m.wanted = id;
	weigh_members(w, &m);
	if (m.found)
		return id;
	bpf_loop(LIMIT_MEMBERS - 1, make_gap, &m, 0);
	m.entry->members[0] = id;
	if (m.entry->count < LIMIT_MEMBERS)
		m.entry->count++;
	m.entry->last_change = w->now;
	return id;
}
