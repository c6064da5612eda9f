/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The sweeper: one timer, kept by the kernel, walks the slab and ends what is overdue. It needs no process, and works as long as the
 * map that holds it is pinned.
 */
#pragma once

#include "connections.h"
#include "defence.h"
#include "estimator.h"
#include "random.h"
#include "states.h"

#define CLOCK_MONOTONIC 1
#define TICK_NS (20 * NS_PER_MS)
/* A round takes this many ticks: two seconds. */
#define ROUND_TICKS 100
#define LEAST_SLOTS 64
#define BPF_MAX_LOOPS (8 << 20)

/* Templates that are due while they have connections wait this long before they get another minute: in a round everything that was
 * due before them is gone. */
#define GRACE_NS (4000 * NS_PER_MS)
/* A round takes two seconds, and the kernel looks at 1/32 of the table each second. */
#define DRAWN_OF_ROUND 16
#define DRAWN_OF_SECOND 32
/* Shortest idle time, and most packets, of a connection that drop_entry may take. */
#define IDLE_MS 60000
#define MOST_PACKETS 8

/* What a sweep looks at. */
enum { SWEEP_ALL, SWEEP_CONNECTIONS, SWEEP_SHARE, SWEEP_THIN };

struct sweep {
	__u64 now;
	__u64 grace;
	__u32 what;
	__u32 settings;
	__u32 draw; /* drop_entry: one of so many is asked about, 0 = none */
	__u32 test;
};

/* A template, or a control connection, that is due keeps living by the minute while it has connections. */
INLINE void keep_parent(struct conn *c, const struct sweep *sweep)
{
	__u64 due = READ_ONCE(c->expires), kept = KEPT_TIMEOUT_MS * NS_PER_MS;

	if (due + sweep->grace > sweep->now)
		return;
	WRITE_ONCE(c->timeout_ms, KEPT_TIMEOUT_MS);
	due += kept;
	WRITE_ONCE(c->expires, due > sweep->now ? due : sweep->now + kept);
}

/* Ends a connection on purpose; the template above goes too when it has no other and is not assured. */
INLINE void force(struct conn *c, __u32 slot)
{
	__u32 above = c->parent;
	struct conn *t;
	__u64 ctl;

	if (!end_connection(slot) || !above)
		return;
	t = conn_at(above);
	if (!t || READ_ONCE(t->children))
		return;
	ctl = READ_ONCE(t->ctl);
	if (ctl_phase(ctl) == PHASE_LIVE && (ctl_flags(ctl) & CONN_FLAG_TEMPLATE) && !(ctl_state(ctl) & TEMPLATE_ASSURED))
		end_connection(above);
}

/* drop_entry: of idle connections with n packets the first and then every n-th that is asked about. */
INLINE int has_idled(const struct conn *c, __u64 now)
{
	struct state *s = the_state();
	__u64 used = READ_ONCE(c->expires) - (__u64)READ_ONCE(c->timeout_ms) * NS_PER_MS;
	__u32 packets = READ_ONCE(c->in_packets);

	if (!s || used + IDLE_MS * NS_PER_MS > now || packets < 1 || packets > MOST_PACKETS)
		return 0;
	if (s->spared[packets & 15]) {
		s->spared[packets & 15]--;
		return 0;
	}
	s->spared[packets & 15] = packets - 1;
	return 1;
}

/* Whether a template's service schedules each packet alone: then nothing ever assures it. */
INLINE int schedules_packets(const struct conn *c)
{
	__u32 id = c->service;
	struct service_state *s = bpf_map_lookup_elem(&service_state, &id);

	return s && (READ_ONCE(s->flags) & SERVICE_FLAG_ONE_PACKET);
}

INLINE int is_expendable(const struct conn *c, __u64 ctl, __u64 now)
{
	__u32 state = ctl_state(ctl);

	if (READ_ONCE(c->children))
		return 0;
	if (ctl_flags(ctl) & CONN_FLAG_TEMPLATE)
		return schedules_packets(c) ? has_idled(c, now) : !(state & TEMPLATE_ASSURED);
	if (c->protocol == PROTO_TCP)
		return state == 3 || state == 10 || (state == TCP_STATE_ESTABLISHED && has_idled(c, now));
	if (c->protocol == PROTO_SCTP)
		return state == 1 || state == 2 || (state == SCTP_STATE_ESTABLISHED && has_idled(c, now));
	return has_idled(c, now);
}

/* Whether a live connection has to go before its time. */
INLINE int is_unwanted(const struct conn *c, __u64 ctl, const struct sweep *sweep)
{
	if ((sweep->settings & SETTING_EXPIRE_NODEST_CONN) && c->dest && !(ctl_flags(ctl) & CONN_FLAG_TEMPLATE) &&
	    !is_available(c->dest))
		return 1;
	return sweep->draw && !chance(sweep->test, sweep->draw) && is_expendable(c, ctl, sweep->now);
}

static long sweep_slot(__u32 i, void *context)
{
	struct sweep *sweep = context;
	struct state *s = the_state();
	struct conn *c;
	__u32 slot;
	__u64 ctl;

	(void)i;
	if (!s)
		return 1;
	slot = s->hand;
	s->hand = slot + 1;
	c = conn_at(slot);
	if (!c)
		return 1;
	ctl = READ_ONCE(c->ctl);
	if (ctl_phase(ctl) != PHASE_LIVE)
		return 0;
	if (sweep->what == SWEEP_CONNECTIONS && (ctl_flags(ctl) & CONN_FLAG_TEMPLATE))
		return 0;
	if (sweep->what == SWEEP_THIN || READ_ONCE(c->expires) > sweep->now) {
		if (((sweep->settings & SETTING_EXPIRE_NODEST_CONN) || sweep->draw) && is_unwanted(c, ctl, sweep))
			force(c, slot);
		return 0;
	}
	if (end_connection(slot))
		s->swept++;
	else if (READ_ONCE(c->children))
		keep_parent(c, sweep);
	return 0;
}

/* Looks at `count` slots from the hand on, at most to the last one ever used. */
SHARED int sweep_slots(__u64 now, __u32 count, __u32 what)
{
	struct sweep sweep = {};
	struct config *g = the_config();
	struct state *s = the_state();
	__u32 fresh;

	if (!s || !g)
		return 0;
	sweep.now = now;
	sweep.grace = what != SWEEP_SHARE && g->test & TEST_CLOCK ? 0 : GRACE_NS;
	sweep.what = what;
	sweep.settings = g->settings;
	sweep.test = g->test;
	if ((what == SWEEP_SHARE || what == SWEEP_THIN) && (g->in_force & DEFENCE_DROP_ENTRY))
		sweep.draw = what == SWEEP_SHARE ? DRAWN_OF_ROUND : g->test & TEST_THOROUGH ? 1 : DRAWN_OF_SECOND;
	fresh = READ_ONCE(s->fresh);
	if (s->hand >= fresh || !s->hand) {
		s->hand = 1;
		s->sweeps++;
	}
	if (count > fresh - s->hand)
		count = fresh - s->hand;
	/* As many as the kernel allows in one loop. */
	if (count > BPF_MAX_LOOPS)
		count = BPF_MAX_LOOPS;
	bpf_loop(count, sweep_slot, &sweep, 0);
	return 0;
}

/* What is done every tick: this tick's share of a round. */
SHARED int work_off(__u64 now)
{
	struct state *s = the_state();
	__u32 count;

	if (!s)
		return 0;
	s->ticks++;
	defend(now);
	count = READ_ONCE(s->fresh) / ROUND_TICKS + 1;
	sweep_slots(now, count < LEAST_SLOTS ? LEAST_SLOTS : count, SWEEP_SHARE);
	return estimator_tick(now);
}

static int tick(void *map, __u32 *key, struct ticker *t)
{
	struct config *g = the_config();

	(void)map;
	(void)key;
	/* A test that sets the clock also says when to work. */
	if (g && !(g->test & TEST_CLOCK))
		work_off(now_ns(g));
	bpf_timer_start(&t->timer, TICK_NS, 0);
	return 0;
}
