/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Chance. A test sets where it begins, and so knows what comes. */
#pragma once

#include "work.h"

/* A number below n, every one as likely as the other. */
SHARED __u64 chance(__u32 test, __u64 n)
{
	struct state *s = test & TEST_RANDOM ? the_state() : (struct state *)0;
	__u64 word = s ? (s->chance = s->chance * 1664525 + 1013904223) : bpf_get_prandom_u32();

	if (n > 1ULL << 32)
		return (word << 32 | bpf_get_prandom_u32()) % n;
	return (word * n) >> 32;
}
