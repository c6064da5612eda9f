/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From a packet without a connection to a new connection: who may be scheduled, which service, which destination, with or without
 * persistence (core/scheduling.ts).
 */
#pragma once

#include "connections.h"
#include "fullnat.h"
#include "schedulers.h"
#include "services.h"
#include "states.h"
#include "stats.h"

/* What scheduling came to. */
enum {
	OUTCOME_MADE,	/* w->slot, or w->onepacket */
	OUTCOME_ACCEPT, /* not ours */
	OUTCOME_DROP,
	OUTCOME_REFUSE, /* no destination: the client is told */
	OUTCOME_TWIN,	/* another CPU was faster: look again */
	OUTCOME_BYPASS, /* no destination: past the service, if the address is not the director's */
};

/* Whether this packet may open a connection; an embedded one says nothing about how a connection began. */
INLINE int opens(const struct work *w, __u32 settings)
{
	if (w->flow & FLOW_QUOTED)
		return 1;
	if (w->protocol == PROTO_TCP)
		return !(w->l4_first & TCP_RST) && ((w->l4_first & TCP_SYN) || (settings & SETTING_SLOPPY_TCP));
	if (w->protocol == PROTO_SCTP)
		return w->sctp_type == 1 || ((settings & SETTING_SLOPPY_SCTP) && w->sctp_type != 6);
	return w->protocol == PROTO_UDP;
}

/* drop_packet: every n-th packet that would be scheduled, the first one after a change at once. */
INLINE int thinned(const struct config *g)
{
	struct state *s = the_state();
	__u32 rate = READ_ONCE(g->drop_rate);

	if (!s || !rate)
		return 0;
	if (s->dropper) {
		s->dropper--;
		return 0;
	}
	s->dropper = rate - 1;
	return 1;
}

/* What happens to a packet for which there is no destination. */
INLINE int leave(struct work *w, const struct config *g, const struct service *s)
{
	if ((g->settings & SETTING_CACHE_BYPASS) && s->fwmark && !(w->flow & FLOW_QUOTED)) {
		w->onepacket = (s->flags & SERVICE_FLAG_ONE_PACKET) && w->protocol == PROTO_UDP;
		return OUTCOME_BYPASS;
	}
	if (s->port == bpf_htons(FTP_PORT) && w->dport != bpf_htons(FTP_PORT))
		return OUTCOME_ACCEPT;
	if (w->flow & FLOW_QUOTED)
		return OUTCOME_DROP;
	w->reason = DROP_REFUSED;
	return OUTCOME_REFUSE;
}

/* A connection to nobody, whose packets go where they are addressed to. */
SHARED int connect_past(struct work *w)
{
	if (!w)
		return OUTCOME_DROP;
	w->dest = 0;
	w->service = 0;
	w->scheduled = 0;
	w->method = METHOD_BYPASS;
	w->parent = 0;
	w->nport = 0;
	w->dest_family = w->family;
	w->naddr[0] = w->naddr[1] = w->naddr[2] = w->naddr[3] = 0;
	w->conn_flags = METHOD_BYPASS;
	if (w->onepacket)
		return OUTCOME_MADE;
	switch (make_connection(w)) {
	case MADE:
		return OUTCOME_MADE;
	case MADE_TWIN:
		return OUTCOME_TWIN;
	}
	return OUTCOME_DROP;
}

/* A new connection to w->dest at w->nport, counted. */
SHARED int connect_to(struct work *w, __u32 onepacket)
{
	struct dest *d;
	int made;

	if (!w)
		return OUTCOME_DROP;
	d = dest_at(w->dest);
	if (!d)
		return OUTCOME_DROP;
	w->method = d->method;
	w->service = d->service;
	w->dest_family = d->family;
	copy_address(w->naddr, d->address);
	w->conn_flags = (d->method & CONN_FLAG_METHOD_MASK) | CONN_FLAG_INACTIVE;
	if (d->method != METHOD_NAT && d->method != METHOD_FULLNAT)
		w->conn_flags |= CONN_FLAG_NO_OUTPUT;
	/* The FTP helper reads it. */
	if (d->method == METHOD_NAT && w->protocol == PROTO_TCP && w->dport == bpf_htons(FTP_PORT))
		w->conn_flags |= CONN_FLAG_WATCHED;
	w->onepacket = onepacket && w->protocol == PROTO_UDP;
	if (d->method == METHOD_FULLNAT)
		made = make_fullnat(w);
	else
		made = w->onepacket ? MADE : make_connection(w);
	if (made == MADE_TWIN)
		return OUTCOME_TWIN;
	if (made != MADE)
		return OUTCOME_DROP;
	bind_connection(w->dest);
	count_connection(w);
	return OUTCOME_MADE;
}

/* --- persistence ---------------------------------------------------------------------------------------------------------- */

/* The key of the template that covers this packet: per port, per mark, or per client. */
INLINE void template_key(struct work *w, const struct service *s)
{
	struct key *k = &w->template_key;

	for (int i = 0; i < 4; i++)
		k->source[i] = w->saddr[i] & s->mask[i];
	copy_address(k->target, w->daddr);
	k->source_port = 0;
	k->target_port = 0;
	k->protocol = w->protocol;
	k->kind = KIND_TEMPLATE;
	k->family = w->family;
	if (s->fwmark) {
		k->protocol = 0;
		k->target[0] = s->fwmark;
		k->target[1] = k->target[2] = k->target[3] = 0;
	} else if (w->dport == s->port && s->port != bpf_htons(FTP_PORT)) {
		k->target_port = w->dport;
	}
}

/* Takes a template by counting a child, which keeps the sweeper off; 0 when it died meanwhile. */
INLINE int adopt_by(struct conn *t)
{
	__u64 ctl = READ_ONCE(t->ctl);

	ADD(&t->children, 1);
	if (ctl_phase(ctl) == PHASE_LIVE && !((READ_ONCE(t->ctl) ^ ctl) & CTL_WHO))
		return 1;
	SUB(&t->children, 1);
	return 0;
}

/* Makes the template findable; 1 = it is. */
INLINE int insert_template(struct work *w, const struct conn *c, __u32 slot, __u64 ctl)
{
	if (w->flow & FLOW_CALL)
		return !hash_call(slot, ctl_generation(ctl));
	return insert_key(&w->template_key, c, ctl, slot, 0) == KEY_IN;
}

/* Makes the template of w->template_key for w->dest; w->parent is its slot, with one child counted. 0 = could not. */
SHARED int make_template(struct work *w, __u32 timeout_ms, __u32 at_service_port)
{
	__u32 slot, generation;
	struct conn *c;
	struct dest *d;
	__u64 ctl;

	if (!w)
		return 0;
	slot = take_slot();
	c = slot ? conn_at(slot) : (struct conn *)0;
	d = dest_at(w->dest);
	if (!c || !d) {
		w->reason = DROP_TABLE_FULL;
		return 0;
	}
	generation = ctl_generation(READ_ONCE(c->ctl));
	c->expires = w->now + (__u64)timeout_ms * NS_PER_MS;
	c->timeout_ms = timeout_ms;
	c->dest = w->dest;
	c->in_packets = 0;
	c->parent = 0;
	c->protocol = w->template_key.protocol;
	c->family = w->family;
	c->dest_family = d->family;
	put_mark(c, w->mark);
	if (w->flow & FLOW_CALL)
		c->marks |= CONN_MARK_CALL;
	c->client_port = 0;
	c->virtual_port = w->template_key.target_port;
	c->dest_port = w->template_key.target_port && at_service_port ? d->port : 0;
	c->local_port = 0;
	c->service = d->service;
	SET_END(c, client, w->template_key.source, w->family);
	SET_END(c, virtual, w->template_key.target, w->family);
	SET_END(c, dest_address, d->address, d->family);
	ADD(&c->children, 1);
	ctl = (d->method & CONN_FLAG_METHOD_MASK) | CONN_FLAG_TEMPLATE | CONN_FLAG_INACTIVE | CONN_FLAG_HASHED;
	if (d->method != METHOD_NAT && d->method != METHOD_FULLNAT)
		ctl |= CONN_FLAG_NO_OUTPUT;
	ctl = ctl_make(generation, ctl, 0, PHASE_LIVE);
	WRITE_ONCE(c->ctl, ctl);
	if (!insert_template(w, c, slot, ctl)) {
		/* While it has a child nobody else ends it. */
		WRITE_ONCE(c->ctl, (ctl & ~0xffULL) | PHASE_DYING);
		SUB(&c->children, 1);
		give_slot(c, slot, ctl);
		return 0;
	}
	bind_template(w->dest);
	w->parent = slot;
	return 1;
}

/* An unusable template, taken by adopt_by(): it lives on, but never matches again. */
INLINE void give_up_template(struct conn *t, __u32 slot, __u64 now)
{
	SUB(&t->children, 1);
	unhash_connection(slot, now, 0);
}

/* The destination that w->template_key's template leads to, in w->dest, with a child counted in w->parent; 0 = none usable. */
SHARED int use_template(struct work *w, __u32 settings)
{
	struct conn *t;
	struct dest *d;
	struct load *l;
	__u64 ref;

	if (!w)
		return 0;
	ref = w->flow & FLOW_CALL ? find_call(w) : find_ref(&w->template_key);
	t = follow(ref, w->now);
	if (!t || !adopt_by(t))
		return 0;
	d = dest_at(t->dest);
	l = load_of(t->dest);
	if (d && l && (READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE) &&
	    !((settings & SETTING_EXPIRE_QUIESCENT_TEMPLATE) && READ_ONCE(l->weight) == 0)) {
		w->dest = t->dest;
		w->parent = ref;
		return 1;
	}
	give_up_template(t, ref, w->now);
	return 0;
}

INLINE int schedule_persistent(struct work *w, const struct config *g, const struct service *s)
{
	__u32 at_service_port = w->dport == s->port, onepacket = s->flags & SERVICE_FLAG_ONE_PACKET;
	struct conn *t;
	struct dest *d;
	int outcome;

	/* Also anything but UDP, and what an error quotes: nobody read a Call-ID there. */
	if ((s->flags & SERVICE_FLAG_SIP) && !(w->flow & FLOW_CALL)) {
		w->reason = DROP_MALFORMED;
		return OUTCOME_DROP;
	}
	template_key(w, s);
	if (!use_template(w, g->settings)) {
		w->dest = pick(w, s);
		if (!w->dest)
			return leave(w, g, s);
		if (!make_template(w, s->timeout_ms, at_service_port)) {
			if (w->reason)
				return OUTCOME_DROP;
			/* Another CPU made it at the same moment. */
			if (!use_template(w, g->settings))
				return OUTCOME_DROP;
		}
	}
	d = dest_at(w->dest);
	if (!d)
		return OUTCOME_DROP;
	w->nport = at_service_port && d->port ? d->port : w->dport;
	outcome = connect_to(w, onepacket);
	t = conn_at(w->parent);
	if (!t)
		return outcome;
	if (outcome != OUTCOME_MADE)
		SUB(&t->children, 1);
	else
		restart(t, w->now); /* only new connections keep a template alive */
	return outcome;
}

/* --- all ------------------------------------------------------------------------------------------------------------------ */

/* A reply of a local server, or a packet that was handed to lo after translation: the other side of a connection. */
INLINE int is_answer(struct work *w)
{
	reversed_key(&w->key, w);
	return follow(find_ref(&w->key), w->now) != 0;
}

/* Schedules a packet that belongs to no connection. */
SHARED int schedule(struct work *w)
{
	struct config *g = the_config();
	const struct service *s;
	struct dest *d;

	if (!w || !g)
		return OUTCOME_ACCEPT;
	if (w->flow & FLOW_LATER)
		return OUTCOME_ACCEPT;
	s = find_service(w, g);
	if (!s)
		return OUTCOME_ACCEPT;
	if (w->flow & FLOW_TRUNCATED || (!(w->flow & FLOW_QUOTED) && w->protocol == PROTO_SCTP && w->sctp_type == 255)) {
		w->reason = DROP_MALFORMED;
		return OUTCOME_DROP;
	}
	if (!opens(w, g->settings))
		return OUTCOME_ACCEPT;
	/* Passed on to TC, which would schedule it again. */
	if (w->hook == HOOK_XDP && (s->flags & SERVICE_FLAG_ONE_PACKET) && w->protocol == PROTO_UDP)
		return OUTCOME_ACCEPT;
	if (thinned(g)) {
		w->reason = DROP_DEFENCE;
		return OUTCOME_DROP;
	}
	if (w->sport == bpf_htons(FTP_DATA_PORT))
		return OUTCOME_ACCEPT;
	if (w->hook == HOOK_LOOPBACK && is_answer(w))
		return OUTCOME_ACCEPT;
	w->parent = 0;
	w->scheduled = s->id;
	w->local_at = s->local_at;
	w->local_count = s->local_count;
	if (s->flags & SERVICE_FLAG_PERSISTENT)
		return schedule_persistent(w, g, s);
	if (!s->fwmark && w->dport != s->port)
		return leave(w, g, s);
	w->dest = pick(w, s);
	d = w->dest ? dest_at(w->dest) : (struct dest *)0;
	if (!d || !(READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE) || d->service != s->id)
		return leave(w, g, s);
	w->nport = d->port ? d->port : w->dport;
	return connect_to(w, s->flags & SERVICE_FLAG_ONE_PACKET);
}
