/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Connections that user space wrote into the slab (marked CONN_MARK_ADOPT, not HASHED) get their keys; those that it says are over
 * (marked CONN_MARK_FORGET) lose them before.
 */
#pragma once

#include "connections.h"

#define HASHED ((__u64)CONN_FLAG_HASHED << CTL_FLAGS_SHIFT)

/* Whether the connection of `ctl` is in the table: 1 when it is as it should be from now on, 0 when it ended or never lived. */
INLINE int set_hashed(struct conn *c, __u64 ctl, __u64 hashed)
{
	for (int i = 0; i < TRIES; i++) {
		__u64 now = READ_ONCE(c->ctl);

		if (ctl_phase(now) != PHASE_LIVE || ctl_generation(now) != ctl_generation(ctl) || (now & HASHED) == hashed)
			return 0;
		if (CAS(&c->ctl, now, (now & ~HASHED) | hashed) == now)
			return 1;
	}
	return 0;
}

/* Ends that are taken stay those of the other connection: this one is left to the sweeper. */
SHARED int adopt(__u32 slot)
{
	struct conn *c = conn_at(slot);
	__u64 ctl;
	__u32 flags;
	struct key k;

	if (!c || !(c->marks & CONN_MARK_ADOPT))
		return 0;
	c->marks &= ~CONN_MARK_ADOPT;
	ctl = READ_ONCE(c->ctl);
	if (!set_hashed(c, ctl, HASHED))
		return 0;
	ctl |= HASHED;
	flags = ctl_flags(ctl);
	if (c->marks & CONN_MARK_CALL) {
		/* User space said in call_ids which. */
		if (rehash_call(slot, ctl_generation(ctl)))
			set_hashed(c, ctl, 0);
		return 0;
	}
	request_key(&k, c, flags);
	if (insert_key(&k, c, ctl, slot, 0) != KEY_IN) {
		set_hashed(c, ctl, 0);
		return 0;
	}
	if (!has_reply_key(flags))
		return 0;
	reply_key(&k, c, flags);
	if (insert_reply_key(&k, c, ctl, slot))
		return 0;
	request_key(&k, c, flags);
	remove_key(&k, slot);
	set_hashed(c, ctl, 0);
	return 0;
}

/* Its ends are free for another connection. */
SHARED int forget(__u32 slot)
{
	struct conn *c = conn_at(slot);
	__u64 ctl;

	if (!c || !(c->marks & CONN_MARK_FORGET))
		return 0;
	c->marks &= ~CONN_MARK_FORGET;
	ctl = READ_ONCE(c->ctl);
	if (set_hashed(c, ctl, 0))
		remove_keys(c, slot, ctl_flags(ctl));
	return 0;
}

static long adopt_slot(__u32 i, void *context)
{
	(void)context;
	adopt(i + 1);
	return 0;
}

static long forget_slot(__u32 i, void *context)
{
	(void)context;
	forget(i + 1);
	return 0;
}

/* Every slot that was ever used. */
INLINE int adopt_all(void)
{
	struct state *s = the_state();
	__u32 nothing = 0;

	if (!s)
		return 1;
	bpf_loop(READ_ONCE(s->fresh), forget_slot, &nothing, 0);
	bpf_loop(READ_ONCE(s->fresh), adopt_slot, &nothing, 0);
	return 0;
}
