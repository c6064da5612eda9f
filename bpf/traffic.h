/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Requests and replies of connections (core/director.ts). */
#pragma once

#include "forward.h"
#include "ftp.h"
#include "scheduling.h"
#include "sip.h"

/* --- replies -------------------------------------------------------------------------------------------------------------- */

/* Takes over what the packet path needs of a connection. */
INLINE void load_connection(struct work *w, const struct conn *c)
{
	struct dest *d = dest_at(c->dest);
	__u32 flags;

	w->dest = c->dest;
	w->service = 0;
	w->available = 0;
	flags = ctl_flags(READ_ONCE(c->ctl));
	w->method = flags & CONN_FLAG_METHOD_MASK;
	w->watched = flags & CONN_FLAG_WATCHED;
	w->dest_family = c->dest_family;
	w->parent = c->parent;
	w->nport = c->dest_port;
	if (d && c->dest) {
		w->service = d->service;
		w->available = READ_ONCE(d->flags) & DEST_FLAG_AVAILABLE;
	}
	GET_END(w->naddr, c, dest_address, c->dest_family);
	if (w->method == METHOD_FULLNAT) {
		w->lport = c->local_port;
		GET_END(w->laddr, c, local, w->family);
	}
}

/*
 * Finds the way to a client, and takes a hop off the packet: the way of what the director itself sends from the virtual address
 * w->laddr, or, with snat_reroute=0, that of the packet as it came from the server. What is to be cut goes the way of what is for the
 * director itself.
 */
INLINE int prepare_reply(packet *p, struct work *w, const __be32 *client)
{
	struct config *g = the_config();
	int step;

	if (g && (g->settings & SETTING_KEEP_ROUTE))
		route_back(p, w, client, w->saddr, w->ifindex);
	else
		route_back(p, w, client, w->laddr, LO_IFINDEX);
	if (w->way.kind == HOP_LOCAL)
		return STEP_LOCAL;
	if (w->way.kind == HOP_NONE)
		return STEP_NO_ROUTE;
	step = checks(w, 0, 4, 1);
	if (step != STEP_GO || !is_too_long(w))
		return step;
	cut_others(w);
	give_hop_back(w);
	return STEP_LOCAL;
}

INLINE int send_reply(packet *p, struct work *w, int step)
{
	return step == STEP_LOCAL ? send_home(p, w, VERDICT_SEND) : send(p, w, VERDICT_SEND);
}

/*
 * A reply of a NAT or full-NAT server: its source becomes the VIP. What cannot go on is told to the server, and not counted: the
 * stack would not have shown it to ip_vs.
 */
SHARED int reply(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	int step = STEP_LOCAL;
	struct dest *d;

	if (!c || !g)
		return TC_ACT_UNSPEC;
	load_connection(w, c);
	if (w->watched && ftp_reply(p, w))
		return drop(w, DROP_FAILED);
	GET_END(w->naddr, c, client, w->family);
	GET_END(w->laddr, c, virtual, w->family);
	if (w->hook == HOOK_INGRESS)
		step = prepare_reply(p, w, w->naddr);
	if (step != STEP_GO && step != STEP_LOCAL) {
		d = dest_at(w->dest);
		if (!d)
			return drop(w, DROP_FAILED);
		copy_address(w->laddr, d->source);
		/* A full-NAT server hears from whom it spoke to. */
		return held_back(p, w, step, w->method != METHOD_FULLNAT);
	}
	if (w->method == METHOD_FULLNAT && fullnat_reply(p, w))
		return drop(w, DROP_FAILED);
	if (w->available)
		count_out(w);
	track(w, g, c, TOWARDS_CLIENT);
	restart(c, w->now);
	if (rewrite(p, w, END_SOURCE, c->virtual_port))
		return drop(w, DROP_FAILED);
	if (w->method == METHOD_FULLNAT && rewrite(p, w, END_TARGET, c->client_port))
		return drop(w, DROP_FAILED);
	if (w->watched == WAY_PLANNED)
		open_way(w);
	return w->hook == HOOK_INGRESS ? send_reply(p, w, step) : deliver(w);
}

/* The packet of a server that begins a call of a one-packet service: as reply(), without a connection. */
SHARED int reply_once(packet *p, struct work *w)
{
	struct conn *t = w ? conn_at(w->parent) : (struct conn *)0;
	int step = STEP_LOCAL;
	struct dest *d;

	if (!t)
		return TC_ACT_SHOT;
	w->method = METHOD_NAT;
	unbind_connection(w->dest, 1);
	SUB(&t->children, 1);
	copy_address(w->laddr, w->template_key.target);
	if (w->hook == HOOK_INGRESS)
		step = prepare_reply(p, w, w->daddr);
	if (step != STEP_GO && step != STEP_LOCAL) {
		d = dest_at(w->dest);
		if (!d)
			return drop(w, DROP_FAILED);
		copy_address(w->laddr, d->source);
		return held_back(p, w, step, 1);
	}
	count_out(w);
	assure(w->parent);
	if (rewrite(p, w, END_SOURCE, w->template_key.target_port))
		return drop(w, DROP_FAILED);
	return w->hook == HOOK_INGRESS ? send_reply(p, w, step) : deliver(w);
}

/* A reply that passes by on its own way (DR, TUN, local): counted and tracked, not touched. */
SHARED int passing_reply(struct work *w)
{
	struct config *g = the_config();
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;

	if (!c || !g)
		return TC_ACT_UNSPEC;
	load_connection(w, c);
	if (w->available)
		count_out(w);
	track(w, g, c, TOWARDS_CLIENT);
	restart(c, w->now);
	return accept(w);
}

/* Looks for the connection whose reply this is, when that has no key of its own; 1 = found. */
SHARED int find_passing(struct work *w)
{
	struct config *g = the_config();
	struct conn *c;
	__u64 ref;

	/* What goes to a service is no reply, and is spared the look-up: 400 ns where the table is large. */
	if (!w || !g || find_service(w, g))
		return 0;
	reversed_key(&w->key, w);
	ref = find_ref(&w->key);
	if (ref & REF_REPLY)
		return 0;
	c = follow(ref, w->now);
	if (!c || has_reply_key(ctl_flags(READ_ONCE(c->ctl))))
		return 0;
	take_up(w, c, ref);
	return 1;
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

/* The first packet of a new connection by its looks. */
INLINE int opens_anew(const struct work *w)
{
	if (!(w->flow & FLOW_PORTS))
		return 0;
	if (w->protocol == PROTO_TCP)
		return w->l4_first & TCP_SYN;
	return w->protocol == PROTO_SCTP && w->sctp_type == 1;
}

/* Whether the old connection of these ends gives way to a new one (conn_reuse_mode). */
INLINE int reusable(const struct work *w, const struct config *g, const struct conn *c)
{
	__u64 ctl = READ_ONCE(c->ctl);
	__u32 state = ctl_state(ctl);
	struct load *l = load_of(c->dest);

	/* One without packets is what XDP made for this one, before it passed it on. */
	if ((g->settings & SETTING_EXPIRE_NODEST_CONN) && c->dest && l && READ_ONCE(l->weight) == 0 && c->in_packets)
		return 1;
	if (!g->conn_reuse_mode || c->parent)
		return 0;
	if (w->protocol == PROTO_SCTP)
		return state == SCTP_STATE_CLOSED;
	if (w->protocol != PROTO_TCP)
		return 0;
	if (state == TCP_STATE_TIME_WAIT || state == TCP_STATE_CLOSE)
		return 1;
	return (g->conn_reuse_mode & 2) && state == TCP_STATE_FIN_WAIT && (ctl_flags(ctl) & CONN_FLAG_NO_OUTPUT);
}

/* Counts, tracks and forwards a request of w->slot. */
SHARED int request(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;
	int verdict;

	if (!c || !g)
		return TC_ACT_SHOT;
	load_connection(w, c);
	if (w->available)
		count_in(w);
	track(w, g, c, TOWARDS_SERVER);
	/* A flow stays on one CPU; where it does not, a count may be lost, which only synchronisation and drop_entry look at. */
	c->in_packets++;
	announce_request(w, g, c);
	restart(c, w->now);
	verdict = forward(p, w);
	if (w->watched == WAY_PLANNED)
		open_way(w);
	return verdict;
}

/* Ends a connection that is made for the packet at hand only: its destination and its template let go of it. */
INLINE void end_once(struct work *w)
{
	struct conn *t = w->parent ? conn_at(w->parent) : (struct conn *)0;

	w->available = is_available(w->dest);
	if (w->dest)
		unbind_connection(w->dest, 1);
	if (t)
		SUB(&t->children, 1);
}

/* A connection for this packet only: what remains are the counters, and the template's packet count. */
SHARED int request_once(packet *p, struct work *w)
{
	struct conn *t;

	if (!w)
		return TC_ACT_SHOT;
	t = w->parent ? conn_at(w->parent) : (struct conn *)0;
	if (t) {
		ADD(&t->in_packets, 1);
		announce_template(w, t);
	}
	end_once(w);
	if (w->available)
		count_in(w);
	return forward(p, w);
}

/* Whether the packet is for many: multicast, and what IPv4 has beyond it. */
INLINE int is_for_many(const struct work *w)
{
	__u8 first = *(const __u8 *)w->daddr;

	return w->family == 4 ? first >= 224 : first == 0xff;
}

/* cache_bypass: past the service, when the packet is for somebody else. */
INLINE int bypass(packet *p, struct work *w)
{
	if (is_for_many(w))
		return OUTCOME_REFUSE;
	/* The way to the packet's own target, not one that is known of a server. */
	w->dest = 0;
	w->method = METHOD_BYPASS;
	route_request(p, w, w->family, w->daddr);
	if (w->way.kind != HOP_NEIGHBOUR && w->way.kind != HOP_RESOLVE)
		return OUTCOME_REFUSE;
	return connect_past(w);
}

/* nat_icmp_send: whether this is a packet of a known server that belongs to no connection; w->laddr is who answers. */
INLINE int is_stray(struct work *w, const struct config *g)
{
	struct dest *d;
	__u32 id;

	if (!(g->settings & SETTING_NAT_ICMP_SEND) || !(w->flow & FLOW_PORTS))
		return 0;
	if ((w->protocol == PROTO_TCP && (w->l4_first & TCP_RST)) || (w->protocol == PROTO_SCTP && w->sctp_type == 6))
		return 0;
	id = nat_server(w);
	d = id ? dest_at(id) : (struct dest *)0;
	if (!d)
		return 0;
	copy_address(w->laddr, d->source);
	return 1;
}

/*
 * Whether to look for a service first and for a connection that passes by after that: the other way round costs most new connections
 * a look-up more.
 */
INLINE int asks_service_first(const struct work *w, const struct config *g)
{
	return w->protocol == PROTO_TCP && (w->l4_first & (TCP_SYN | TCP_ACK)) == TCP_SYN && !g->stand_back &&
	       !(g->settings & SETTING_NAT_ICMP_SEND);
}

/* A server's packet that begins a call, or could not. */
INLINE int reply_call(packet *p, struct work *w, int made)
{
	if (made == CALL_FAILED)
		return drop(w, w->reason);
	return w->onepacket ? reply_once(p, w) : reply(p, w);
}

/* The packet belongs to no connection. */
SHARED int request_new(packet *p, struct work *w)
{
	struct config *g = the_config();
	struct conn *c;
	int outcome;

	if (!w || !g)
		return TC_ACT_UNSPEC;
	if (g->sip_services && w->protocol == PROTO_UDP) {
		outcome = meet_call(p, w);
		if (outcome != CALL_NONE)
			return reply_call(p, w, outcome);
	}
	if (is_stray(w, g))
		return answer(p, w, ANSWER_PORT, 0, 1);
	if (g->stand_back)
		return accept(w);
	c = find_waiting(w);
	if (c && is_available(c->dest))
		return fill_client_port(w) ? request(p, w) : drop(w, DROP_FAILED);
	if (c) {
		if (!(g->settings & SETTING_EXPIRE_NODEST_CONN))
			return drop(w, DROP_ORPHAN);
		unhash_connection(w->slot, w->now, 1);
		w->slot = 0;
	}
	outcome = schedule(w);
	if (outcome == OUTCOME_BYPASS)
		outcome = bypass(p, w);
	switch (outcome) {
	case OUTCOME_MADE:
		return w->onepacket ? request_once(p, w) : request(p, w);
	case OUTCOME_TWIN:
		packet_key(&w->key, w);
		if (find_connection(w, &w->key) && !(w->flow & FLOW_REPLY))
			return request(p, w);
		return drop(w, DROP_FAILED);
	case OUTCOME_DROP:
		return drop(w, w->reason);
	case OUTCOME_REFUSE:
		return answer(p, w, ANSWER_PORT, 0, 0);
	}
	if ((w->flow & FLOW_ASIDE) && find_passing(w))
		return passing_reply(w);
	/* Its sender sends it again. */
	if (g->awaiting && (find_service(w, g) || nat_server(w)))
		return drop(w, DROP_AWAITED);
	return accept(w);
}

/* A request of connection c, which may have to give way. */
INLINE int request_known(packet *p, struct work *w, struct config *g, struct conn *c)
{
	if (g->stand_back)
		return accept(w);
	if (opens_anew(w) && reusable(w, g, c)) {
		unhash_connection(w->slot, w->now, 1);
		w->slot = 0;
		return request_new(p, w);
	}
	if (c->dest && !is_available(c->dest)) {
		if (!(g->settings & SETTING_EXPIRE_NODEST_CONN))
			return drop(w, DROP_ORPHAN);
		unhash_connection(w->slot, w->now, 1);
		w->slot = 0;
		return request_new(p, w);
	}
	return request(p, w);
}
