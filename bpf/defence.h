/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The defence strategies (core/defence.ts, update_defense_level): which are in force, by settings and by the memory that is left. Judged
 * by the sweeper's timer, once a second, and at its next tick after a setting changed.
 */
#pragma once

#include "work.h"

#define DEFENCE_NS (1000 * NS_PER_MS)
/* Modes of a strategy; 1 and 2 follow the memory. */
#define MODE_OFF 0
#define MODE_ON 3
/* Block devices that are looked at. */
#define MOST_DEVICES 4096

/* Where the kernel lets nobody read its memory, user space loads the programs with 0 here, and the verifier drops the reading. */
const volatile __u32 reads_memory SEC(".rodata.memory") = 1;

/* A walk over the inodes of all block devices. */
struct device_walk {
	__u64 at; /* a struct list_head in an inode */
	__u64 end;
	__u64 pages;
};

INLINE __u64 kernel_word(__u64 at)
{
	__u64 word = 0;

	if (!reads_memory || bpf_probe_read_kernel(&word, sizeof(word), (void *)at))
		return 0;
	return word;
}

static long add_device(__u32 i, void *context)
{
	struct config *g = the_config();
	struct device_walk *walk = context;
	__u64 mapping;

	(void)i;
	if (!g || !walk->at || walk->at == walk->end)
		return 1;
	mapping = kernel_word(walk->at - g->inode_list + g->inode_mapping);
	if (mapping)
		walk->pages += kernel_word(mapping + g->mapping_pages);
	walk->at = kernel_word(walk->at);
	return 0;
}

/* Pages of memory that are free, or hold blocks of devices ("Buffers"), as si_meminfo() tells them. */
INLINE __u64 available_pages(const struct config *g)
{
	struct device_walk walk = {};
	__s64 pages;

	if (g->test & TEST_MEMORY)
		return g->test_pages;
	if (!g->free_pages_at)
		return ~0ULL;
	pages = kernel_word(g->free_pages_at);
	if (pages < 0)
		pages = 0;
	walk.end = kernel_word(g->devices_at);
	if (g->mapping_pages && walk.end) {
		walk.end += g->super_inodes;
		walk.at = kernel_word(walk.end);
		bpf_loop(MOST_DEVICES, add_device, &walk, 0);
		pages += walk.pages;
	}
	return pages;
}

INLINE int is_on(__u32 mode, int short_of_memory)
{
	return mode == MODE_ON || (mode != MODE_OFF && short_of_memory);
}

/* Brings what is in force in line with settings and memory; 1 when another second has passed. */
SHARED int defend(__u64 now)
{
	struct config *g = the_config();
	struct state *s = the_state();
	__u32 in_force = 0, rate = 0, threshold;
	int due, scarce;
	__u64 pages;

	if (!g || !s)
		return 0;
	due = now >= s->defend_at;
	if (due)
		s->defend_at = now + DEFENCE_NS;
	else if (s->judged == g->defences && s->judged_threshold == g->amemthresh && s->judged_rate == g->am_droprate)
		return 0;
	s->judged = g->defences;
	s->judged_threshold = threshold = g->amemthresh;
	s->judged_rate = g->am_droprate;
	/* Unless a mode is automatic nobody asks. */
	pages = s->judged & DEFENCE_AUTOMATIC ? available_pages(g) : ~0ULL;
	scarce = pages < threshold;
	if (is_on(s->judged & DEFENCE_MODE, scarce))
		in_force |= DEFENCE_DROP_ENTRY;
	if (is_on((s->judged >> DEFENCE_SECURE_SHIFT) & DEFENCE_MODE, scarce))
		in_force |= DEFENCE_SECURE_TCP;
	if (is_on((s->judged >> DEFENCE_PACKET_SHIFT) & DEFENCE_MODE, scarce)) {
		in_force |= DEFENCE_DROP_PACKET;
		if (((s->judged >> DEFENCE_PACKET_SHIFT) & DEFENCE_MODE) == MODE_ON)
			rate = s->judged_rate;
		else
			rate = threshold / (threshold - (__u32)pages);
	}
	WRITE_ONCE(g->in_force, in_force);
	if (g->drop_rate != rate) {
		s->dropper = 0;
		WRITE_ONCE(g->drop_rate, rate);
	}
	return due;
}
