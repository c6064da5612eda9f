/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Power of two choices: two destinations drawn at random by weight, of which the less loaded one wins (schedulers/twos.ts). */
#pragma once

#include "random.h"
#include "schedulers.h"

struct twos {
	__s64 first;
	__s64 second;
	__u64 total;
	__u32 at;
	__u32 one;
	__u32 two;
	__u32 spare;
};

static long add_weight(__u32 index, struct twos *t)
{
	struct load *l = load_of(order_at(t->at + index));

	if (l && usable(l))
		t->total += READ_ONCE(l->weight);
	return 0;
}

static long draw(__u32 index, struct twos *t)
{
	__u32 id = order_at(t->at + index), weight;
	struct load *l = load_of(id);

	if (!l || !usable(l))
		return 0;
	weight = READ_ONCE(l->weight);
	t->first -= weight;
	t->second -= weight;
	if (t->first <= 0 && !t->one)
		t->one = id;
	if (t->second <= 0 && !t->two)
		t->two = id;
	return t->one && t->two;
}

INLINE __u32 overhead(const struct load *l)
{
	return ACTIVE_FACTOR * READ_ONCE(l->active) + READ_ONCE(l->inactive);
}

SHARED int pick_twos(struct work *w)
{
	struct load *one, *two;
	struct twos t = {};

	if (!w)
		return 0;
	t.at = w->scan.at;
	/* Not constants: kernels before 6.7 would believe that they stay 0. */
	t.total = t.one = t.two = w->zero;
	bpf_loop(w->scan.count, add_weight, &t, 0);
	if (!t.total)
		return 0;
	/* compat: 0..total inclusive, so that the first destination is a little more likely (Linux 6.1). */
	t.first = chance(w->test, t.total + 1);
	t.second = chance(w->test, t.total + 1);
	bpf_loop(w->scan.count, draw, &t, 0);
	if (!t.one || !t.two)
		return t.one ? t.one : t.two;
	one = load_of(t.one);
	two = load_of(t.two);
	if (!one || !two)
		return t.one;
	/* compat: the kernel multiplies in 32 bits here. */
	return (__s32)(READ_ONCE(two->weight) * overhead(one)) > (__s32)(READ_ONCE(one->weight) * overhead(two)) ? t.two :
														     t.one;
}
