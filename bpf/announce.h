/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Tells the sync process of connections that a backup may have to hear of: which of them, and how often, it decides itself. Nothing is
 * told, and packets pay one branch, while no master daemon runs (config.sync_on).
 */
#pragma once

#include "work.h"

/* States whose beginning is announced at once. */
#define TCP_ENDINGS ((1 << 4) | (1 << 5) | (1 << 6) | (1 << 7))
#define SCTP_ENDINGS ((1 << 9) | (1 << 10) | (1 << 11) | (1 << 13))

/* Without waking anybody: the process looks every few milliseconds. */
SHARED int tell(struct sync_event *event)
{
	struct state *s;

	if (!event || !bpf_ringbuf_output(&sync_events, event, sizeof(*event), BPF_RB_NO_WAKEUP))
		return 0;
	s = the_state();
	if (s)
		ADD(&s->sync_lost, 1);
	return 0;
}

INLINE void tell_of(__u32 slot, __u32 generation, __u32 packets)
{
	struct sync_event event = { .slot = slot, .generation = generation & 0x7fffffff, .packets = packets };

	tell(&event);
}

/* Whether a connection's n-th request, by its number, may have it announced. */
INLINE int is_due(const struct config *g, __u32 n, __u32 parent)
{
	__u32 period = g->sync_period, threshold = g->sync_threshold;

	if (n <= (parent ? g->sync_first_child : g->sync_first))
		return 1;
	return (period ? n % period : n) == threshold;
}

/* A request of w->slot was handled, and counted in its connection. */
INLINE void announce_request(const struct work *w, const struct config *g, const struct conn *c)
{
	if (g->sync_on && is_due(g, c->in_packets, c->parent))
		tell_of(w->slot, w->tag >> 1, c->in_packets);
}

/* A packet brought w->slot to a state. */
INLINE void announce_state(const struct work *w, const struct config *g, const struct conn *c, __u32 state)
{
	__u32 endings = w->protocol == PROTO_TCP ? TCP_ENDINGS : SCTP_ENDINGS;

	if (g->sync_on && ((endings >> (state & 31)) & 1))
		tell_of(w->slot, w->tag >> 1, c->in_packets);
}

/* The stream of w->slot was shifted further: a backup that does not hear of it breaks the connection. */
INLINE void announce_shift(const struct work *w, int shifted)
{
	struct config *g = the_config();

	if (shifted && g && g->sync_on)
		tell_of(w->slot, w->tag >> 1, g->sync_threshold);
}

/* A packet passed that has no connection of its own, under template t in w->parent. */
INLINE void announce_template(const struct work *w, const struct conn *t)
{
	struct config *g = the_config();

	if (g && g->sync_on)
		tell_of(w->parent, READ_ONCE(t->ctl) >> CTL_GENERATION_SHIFT, t->in_packets);
}
