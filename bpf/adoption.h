/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Connections that user space wrote into the slab (marked CONN_MARK_ADOPT, not HASHED) get their keys. */
#pragma once

#include "connections.h"

INLINE void mark_hashed(struct conn *c, int hashed)
{
	__u64 bit = (__u64)CONN_FLAG_HASHED << CTL_FLAGS_SHIFT;

	if (hashed)
		__sync_fetch_and_or(&c->ctl, bit);
	else
		__sync_fetch_and_and(&c->ctl, ~bit);
}

/* Ends that are taken stay those of the other connection: this one is left to the sweeper. */
SHARED int adopt(__u32 slot)
{
	struct conn *c = conn_at(slot);
	struct key k;
	__u64 ctl;

	if (!c || !(c->marks & CONN_MARK_ADOPT))
		return 0;
	c->marks &= ~CONN_MARK_ADOPT;
	ctl = READ_ONCE(c->ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || (ctl_flags(ctl) & CONN_FLAG_HASHED))
		return 0;
	if (ctl_flags(ctl) & CONN_FLAG_NO_CLIENT_PORT)
		start_waiting();
	mark_hashed(c, 1);
	if (c->marks & CONN_MARK_CALL) {
		/* User space said in call_ids which. */
		if (rehash_call(slot, ctl_generation(ctl)))
			mark_hashed(c, 0);
		return 0;
	}
	request_key(&k, c, ctl_flags(ctl));
	if (insert_key(&k, c, slot, 0) != KEY_IN) {
		mark_hashed(c, 0);
		return 0;
	}
	if (!has_reply_key(ctl_flags(ctl)))
		return 0;
	reply_key(&k, c, ctl_flags(ctl));
	insert_key(&k, c, slot | REF_REPLY, (ctl_flags(ctl) & CONN_FLAG_METHOD_MASK) == METHOD_FULLNAT ? 0 : REPLACES);
	return 0;
}

static long adopt_slot(__u32 i, void *context)
{
	(void)context;
	adopt(i + 1);
	return 0;
}

/* Every slot that was ever used. */
INLINE int adopt_all(void)
{
	struct state *s = the_state();
	__u32 nothing = 0;

	if (!s)
		return 1;
	bpf_loop(READ_ONCE(s->fresh), adopt_slot, &nothing, 0);
	return 0;
}
