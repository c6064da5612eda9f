/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The schedulers that look at live counts. A service's destinations stand in a run of `order`, newest first, and what is compared of
 * them in `loads`; a scan takes 16 at a time in bpf_loop, because the verifier walks plain loops step by step.
 *
 * The scan's accumulators lie in map memory: kernels before 6.7 verify a callback with the values that its caller's stack has at
 * first, and remove what seems dead then.
 */
#pragma once

#include "destinations.h"

/* How an active connection weighs against an inactive one: 256 x active + (active + inactive), as Linux 6.1 counts. */
#define ACTIVE_FACTOR 257ULL

INLINE __u32 order_at(__u32 index)
{
	__u32 zero = 0;
	struct all_orders *all = bpf_map_lookup_elem(&order, &zero);

	return all ? all->at[index & (LIMIT_ORDER - 1)] : 0;
}

/* Kinds of scans: schedulers' numbers, and wrr's three questions at once. */

INLINE void weigh(struct scan *s, __u32 id, __u32 index, const struct load *l)
{
	__u64 weight = READ_ONCE(l->weight), active = READ_ONCE(l->active), inactive = READ_ONCE(l->inactive), load;

	if (READ_ONCE(l->overloaded) || weight == 0)
		return;
	switch (s->kind) {
	case SCHEDULER_WRR:
		/* The first behind the last choice that is heavy enough for this level, and the greatest weight. */
		if (weight > s->best_weight)
			s->best_weight = weight;
		if ((__s32)index > s->after && weight >= s->level && !s->best) {
			s->best = id;
			s->best_index = index;
		}
		return;
	case SCHEDULER_FO:
	case SCHEDULER_OVF:
		if (s->kind == SCHEDULER_OVF && active > weight)
			return;
		if (weight > s->best_weight) {
			s->best_weight = weight;
			s->best = id;
		}
		return;
	case SCHEDULER_LC:
		load = ACTIVE_FACTOR * active + inactive;
		if (!s->best || load < s->best_load) {
			s->best_load = load;
			s->best = id;
		}
		return;
	case SCHEDULER_NQ:
		if (active == 0 && !s->idle)
			s->idle = id;
		/* fall through */
	case SCHEDULER_SED:
		load = active + 1;
		break;
	default:
		load = ACTIVE_FACTOR * active + inactive;
	}
	if (!s->best || s->best_load * weight > load * s->best_weight) {
		s->best_load = load;
		s->best_weight = weight;
		s->best = id;
	}
}

static long scan_chunk(__u32 chunk, void *unused)
{
	struct work *w = the_work();
	__u32 zero = 0;
	struct all_orders *orders = bpf_map_lookup_elem(&order, &zero);
	struct all_loads *all = bpf_map_lookup_elem(&loads, &zero);

	(void)unused;
	if (!w || !orders || !all)
		return 1;
	for (__u32 i = 0; i < LIMIT_SCAN; i++) {
		__u32 index = chunk * LIMIT_SCAN + i, id;

		if (index >= w->scan.count)
			return 1;
		id = orders->at[(w->scan.at + index) & (LIMIT_ORDER - 1)];
		weigh(&w->scan, id, index, &all->at[id & (LIMIT_DESTS - 1)]);
	}
	return 0;
}

/* Looks at every destination of the service; the answer is in w->scan. */
SHARED int scan_all(struct work *w, __u32 kind)
{
	if (!w)
		return 0;
	w->scan.kind = kind;
	w->scan.best = 0;
	w->scan.best_index = 0;
	w->scan.idle = 0;
	w->scan.best_load = 0;
	w->scan.best_weight = 0;
	bpf_loop((w->scan.count + LIMIT_SCAN - 1) / LIMIT_SCAN, scan_chunk, (void *)0, 0);
	return w->scan.best;
}

/* --- rr ------------------------------------------------------------------------------------------------------------------- */

static long step_round(__u32 i, void *unused)
{
	struct work *w = the_work();
	struct load *l;
	__u32 index, id;

	(void)unused;
	if (!w || !w->scan.count)
		return 1;
	/* scan.after is in -1..count-1, so this is below 2 x count. */
	index = w->scan.after + 1 + i;
	if (index >= w->scan.count)
		index -= w->scan.count;
	id = order_at(w->scan.at + index);
	l = load_of(id);
	if (!l || !usable(l))
		return 0;
	w->scan.best = id;
	w->scan.best_index = index;
	return 1;
}

/* The usable destination after the last one chosen. */
SHARED int pick_rr(struct work *w, __u32 service)
{
	struct service_state *s = bpf_map_lookup_elem(&service_state, &service);

	if (!w || !s)
		return 0;
	for (int i = 0; i < TRIES; i++) {
		__s32 last = READ_ONCE(s->position);

		w->scan.best = 0;
		w->scan.after = last < (__s32)w->scan.count && last >= -1 ? last : -1;
		bpf_loop(w->scan.count, step_round, (void *)0, 0);
		if (!w->scan.best)
			return 0;
		if (CAS((__u32 *)&s->position, (__u32)last, w->scan.best_index) == (__u32)last)
			break;
	}
	return w->scan.best;
}

/* --- wrr ------------------------------------------------------------------------------------------------------------------ */

/*
 * Interleaved: a level sinks from the greatest weight to the least in steps of their common divisor, and at each level everybody at
 * least that heavy gets one connection (core/schedulers/wrr.ts).
 */
SHARED int pick_wrr(struct work *w, __u32 service, __u32 step, __u32 top)
{
	struct service_state *s = bpf_map_lookup_elem(&service_state, &service);
	__u64 level, heaviest;

	if (!w || !s || !top)
		return 0;
	w->scan.after = READ_ONCE(s->position);
	w->scan.level = READ_ONCE(s->level);
	if (!scan_all(w, SCHEDULER_WRR)) {
		heaviest = w->scan.best_weight;
		if (!heaviest) {
			/* A whole round at every level ends where it began. */
			s->level = w->scan.after < 0 ? top : 1;
			return 0;
		}
		if (!step)
			step = 1;
		level = w->scan.level;
		level = level > step ? level - step : top;
		/* The levels down to the heaviest would find nothing. */
		if (level > heaviest)
			level -= (level - heaviest + step - 1) / step * step;
		w->scan.after = -1;
		w->scan.level = level;
		if (!scan_all(w, SCHEDULER_WRR))
			return 0;
		s->level = level;
	}
	s->position = w->scan.best_index;
	return w->scan.best;
}

#include "sched_hash.h"
#include "sched_locality.h"
#include "sched_twos.h"

/* --- all ------------------------------------------------------------------------------------------------------------------ */

/* The scheduler's choice, 0 = none. */
SHARED int pick(struct work *w, const struct service *s)
{
	__u32 kind;

	if (!w || !s || !s->order_count)
		return 0;
	w->scan.at = s->order_at;
	w->scan.count = s->order_count & (LIMIT_ORDER - 1);
	kind = s->scheduler;
	switch (kind) {
	case SCHEDULER_RR:
		return pick_rr(w, s->id);
	case SCHEDULER_WRR:
		return pick_wrr(w, s->id, s->wrr_step, s->wrr_top);
	case SCHEDULER_LC:
	case SCHEDULER_WLC:
	case SCHEDULER_SED:
	case SCHEDULER_FO:
	case SCHEDULER_OVF:
		return scan_all(w, kind);
	case SCHEDULER_NQ:
		scan_all(w, kind);
		return w->scan.idle ? w->scan.idle : w->scan.best;
	case SCHEDULER_SH:
		return pick_sh(w, s->id, s->flags);
	case SCHEDULER_DH:
		return pick_dh(w);
	case SCHEDULER_MH:
		return pick_mh(w, s->id, s->flags);
	case SCHEDULER_LBLC:
		return pick_lblc(w, s->id);
	case SCHEDULER_LBLCR:
		return pick_lblcr(w, s->id);
	case SCHEDULER_TWOS:
		return pick_twos(w);
	}
	return 0;
}
