/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The state machines: what a packet does to its connection's state, timeout and active or inactive count (core/tracker.ts). */
#pragma once

#include "announce.h"
#include "connections.h"

enum { TOWARDS_SERVER = 0, TOWARDS_CLIENT = 1, ONE_SIDED = 2 };

#define TCP_STATE_NONE 0
#define TCP_STATE_ESTABLISHED 1
#define TCP_STATE_FIN_WAIT 4
#define TCP_STATE_TIME_WAIT 5
#define TCP_STATE_CLOSE 6
#define SCTP_STATE_ESTABLISHED 8
#define SCTP_STATE_CLOSED 13
/* State of a template one of whose connections was seen complete. */
#define TEMPLATE_ASSURED 1

/* The template above has seen one of its connections complete. */
INLINE void assure(__u32 slot)
{
	struct conn *c = slot ? conn_at(slot) : (struct conn *)0;
	__u64 bit = (__u64)TEMPLATE_ASSURED << CTL_STATE_SHIFT;

	if (!c)
		return;
	for (int i = 0; i < TRIES; i++) {
		__u64 ctl = READ_ONCE(c->ctl);

		if ((ctl & bit) || ctl_phase(ctl) != PHASE_LIVE || !(ctl_flags(ctl) & CONN_FLAG_TEMPLATE))
			return;
		if (CAS(&c->ctl, ctl, ctl | bit) == ctl)
			return;
	}
}

/* RST before SYN before FIN before ACK; 4 = none of them. */
INLINE __u32 tcp_event(__u32 flags)
{
	return flags & TCP_RST ? 3 : flags & TCP_SYN ? 0 : flags & TCP_FIN ? 1 : flags & TCP_ACK ? 2 : 4;
}

/* The state after a packet; also whether that state counts as active. */
INLINE __u32 next_state(const struct work *w, __u32 in_force, __u32 direction, __u32 state, __u32 *active)
{
	__u32 next, event;
	__u64 at;

	if (w->protocol == PROTO_TCP) {
		event = tcp_event(w->l4_first);
		next = TCP_STATE_CLOSE;
		at = (in_force & DEFENCE_SECURE_TCP ? 256 : 0) | (direction << 6) | (event << 4) | state;
		BOUND(at, 511);
		if (event < 4)
			next = TCP_NEXT[at];
		*active = (TCP_ACTIVE_STATES >> (next & 15)) & 1;
	} else {
		at = (direction << 8) | (w->l4_first << 4) | state;
		BOUND(at, 1023);
		next = SCTP_NEXT[at];
		*active = (SCTP_ACTIVE_STATES >> (next & 15)) & 1;
	}
	return next;
}

/* What a packet makes of the control word of a connection. */
INLINE __u64 step(const struct work *w, __u32 in_force, __u64 ctl, __u32 given)
{
	__u32 flags = ctl_flags(ctl), state = ctl_state(ctl), direction = given, active, next;

	if (flags & CONN_FLAG_NO_OUTPUT) {
		if (given == TOWARDS_CLIENT)
			flags &= ~CONN_FLAG_NO_OUTPUT;
		else
			direction = ONE_SIDED;
	}
	next = next_state(w, in_force, direction, state, &active);
	if (next != state && (flags & CONN_FLAG_METHOD_MASK) != METHOD_BYPASS && active == !!(flags & CONN_FLAG_INACTIVE))
		flags ^= CONN_FLAG_INACTIVE;
	return ctl_make(ctl_generation(ctl), flags, next, PHASE_LIVE);
}

INLINE int is_packets_own(const struct work *w, __u64 ctl)
{
	return ctl_phase(ctl) == PHASE_LIVE && (ctl_generation(ctl) & 0x7fffffff) == w->tag >> 1;
}

/* The connection ended meanwhile. */
#define NO_STATE 16

/* A packet that changes its connection's control word: what hangs on it is changed, too. The state afterwards. */
SHARED int change_state(struct work *w, __u32 given)
{
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	struct config *g = the_config();
	__u64 ctl = 0, changed = 0;
	__u32 state;

	if (!c || !g)
		return NO_STATE;
	for (int i = 0; i < TRIES; i++) {
		ctl = READ_ONCE(c->ctl);
		if (!is_packets_own(w, ctl))
			return NO_STATE;
		changed = step(w, g->in_force, ctl, given);
		if (changed == ctl || CAS(&c->ctl, ctl, changed) == ctl)
			break;
		changed = ctl;
	}
	state = ctl_state(changed);
	if (ctl_flags(ctl ^ changed) & CONN_FLAG_INACTIVE)
		move_connection(c->dest, !(ctl_flags(changed) & CONN_FLAG_INACTIVE));
	if (state != ctl_state(ctl)) {
		if (state == (w->protocol == PROTO_TCP ? TCP_STATE_ESTABLISHED : SCTP_STATE_ESTABLISHED) && c->parent)
			assure(c->parent);
		announce_state(w, g, c, state);
	}
	return state;
}

/* Runs the state machine of TCP or SCTP. */
INLINE void track_states(struct work *w, struct config *g, struct conn *c, __u32 given)
{
	__u64 ctl = READ_ONCE(c->ctl);
	__u32 state = ctl_state(ctl), timeout;

	if (!is_packets_own(w, ctl))
		return;
	if (step(w, g->in_force, ctl, given) != ctl)
		state = change_state(w, given);
	if (state == NO_STATE)
		return;
	timeout = w->protocol == PROTO_TCP ? g->tcp_ms[state & 15] : g->sctp_ms[state & 15];
	if (c->timeout_ms != timeout)
		WRITE_ONCE(c->timeout_ms, timeout);
}

/* What a packet means to its connection. The caller restarts the timer. */
INLINE void track(struct work *w, struct config *g, struct conn *c, __u32 direction)
{
	if (w->protocol == PROTO_UDP) {
		if (c->timeout_ms != g->udp_ms)
			WRITE_ONCE(c->timeout_ms, g->udp_ms);
		if (direction == TOWARDS_CLIENT && c->parent)
			assure(c->parent);
	} else if (w->flow & FLOW_LATER) {
		/* Nothing to read. */
	} else if (w->protocol == PROTO_TCP || (w->protocol == PROTO_SCTP && w->l4_first != 255)) {
		track_states(w, g, c, direction);
	}
}
