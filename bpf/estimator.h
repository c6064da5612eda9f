/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The rate estimator, as net/netfilter/ipvs/ip_vs_est.c reckons: every 2 s each service and destination gets a snapshot of its
 * counters for readers, and its rates move by a quarter towards what was counted since. The work of a round is spread over the
 * ticks of the timer, unless it is little.
 */
#pragma once

#include "maps.h"

#define ESTIMATE_NS (2000 * NS_PER_MS)
#define RATE_SHIFT 10
#define BYTES_RATE_SHIFT 5
#define COUNTERS 5
#define MOST_CPUS 1024
/* As many entries are done in one tick, at the end of a round: what a service counts is then what its servers do. */
#define ESTIMATED_AT_ONCE 128
/* After a pause longer than this many rounds the missed ones are not made up for. */
#define ROUNDS_MISSED 100

MAP_ARRAY(service_estimates, struct estimate, SERVICES);
MAP_ARRAY(dest_estimates, struct estimate, DESTS);
MAP_ARRAY(estimator, struct estimator, 1);

/* The counters of all CPUs together. */
struct total {
	__u64 n[COUNTERS];
	__u32 id;
	__u32 is_dest;
};

static long add_cpu(__u32 cpu, struct total *t)
{
	__u32 id = t->id;
	__u64 *n;

	/* Both structs begin with the five counters. */
	if (t->is_dest)
		n = bpf_map_lookup_percpu_elem(&dest_stats, &id, cpu);
	else
		n = bpf_map_lookup_percpu_elem(&service_stats, &id, cpu);
	if (!n)
		return 1;
	t->n[0] += n[0];
	t->n[1] += n[1];
	t->n[2] += n[2];
	t->n[3] += n[3];
	t->n[4] += n[4];
	return 0;
}

INLINE void move_rate(struct estimate *e, int i, __u64 now, int shift)
{
	__s64 since = now - e->seen[i];
	__s64 rate = e->rate[i];

	/* A slot is two seconds: half of what was counted is the rate. */
	e->rate[i] = rate + (((since << (shift - 1)) - rate) >> 2);
	e->seen[i] = now;
}

static long estimate_entry(__u32 i, __u32 *from)
{
	struct config *c = the_config();
	struct total t = {};
	struct estimate *e;
	__u32 entry, services;

	if (!c)
		return 1;
	services = c->est_services;
	entry = *from + i;
	if (entry < services) {
		t.id = entry;
		e = bpf_map_lookup_elem(&service_estimates, &t.id);
	} else {
		t.id = entry - services;
		t.is_dest = 1;
		e = bpf_map_lookup_elem(&dest_estimates, &t.id);
	}
	if (!e)
		return 0;
	bpf_loop(MOST_CPUS, add_cpu, &t, 0);
	move_rate(e, 0, t.n[0], RATE_SHIFT);
	move_rate(e, 1, t.n[1], RATE_SHIFT);
	move_rate(e, 2, t.n[2], RATE_SHIFT);
	move_rate(e, 3, t.n[3], BYTES_RATE_SHIFT);
	move_rate(e, 4, t.n[4], BYTES_RATE_SHIFT);
	return 0;
}

/* Does the share of this round that is due. */
static __noinline int estimator_tick(__u64 now)
{
	struct config *c = the_config();
	__u32 zero = 0, count, from;
	struct estimator *s = bpf_map_lookup_elem(&estimator, &zero);
	__u64 due;

	if (!c || !s || !(c->settings & SETTING_RUN_ESTIMATION))
		return 0;
	if (!s->round_at || now < s->round_at) {
		s->round_at = now;
		return 0;
	}
	count = c->est_services + c->est_dests;
	due = now - s->round_at;
	from = s->hand;
	if (due >= ESTIMATE_NS) {
		if (from < count)
			bpf_loop(count - from, estimate_entry, &from, 0);
		s->hand = 0;
		s->round_at += ESTIMATE_NS;
		if (now - s->round_at > ROUNDS_MISSED * ESTIMATE_NS)
			s->round_at = now;
		return 1;
	}
	if (count <= ESTIMATED_AT_ONCE)
		return 0;
	/* Rounded down, so that a round's last entries come with its end: no entry comes early. */
	count = count * (due / NS_PER_MS) / 2000;
	if (count > from) {
		bpf_loop(count - from, estimate_entry, &from, 0);
		s->hand = count;
	}
	return 0;
}
