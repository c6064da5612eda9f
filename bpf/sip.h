/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Calls that a real server begins: its first packet to the client makes template and connection as if the client had called, so that
 * the answers find it (ip_vs_new_conn_out).
 */
#pragma once

#include "call_id.h"
#include "scheduling.h"

/* The service whose server's packet this is, if that is persistent by Call-ID; w->dest is the server. */
INLINE const struct service *calling_service(struct work *w, struct service_key **vip)
{
	struct dest *d;
	__u32 id;

	w->dest = nat_server(w);
	d = w->dest ? dest_at(w->dest) : (struct dest *)0;
	if (!d || !d->port)
		return 0;
	id = d->service;
	*vip = bpf_map_lookup_elem(&sip_services, &id);
	return *vip && (*vip)->port && (*vip)->family < 0x80 ? bpf_map_lookup_elem(&services, *vip) : 0;
}

/* Takes the call's template if it is w->dest's; one of another server is given up. */
INLINE int own_template(struct work *w, __u32 settings)
{
	__u32 server = w->dest;
	struct conn *t;

	if (!use_template(w, settings)) {
		w->dest = server;
		return 0;
	}
	if (w->dest == server)
		return 1;
	w->dest = server;
	t = conn_at(w->parent);
	if (t)
		give_up_template(t, w->parent, w->now);
	return 0;
}

/* The template of the call the client would have made, for w->dest; w->parent, with a child counted. 0 = could not. */
SHARED int adopt_call(struct work *w, __u32 timeout_ms, __u32 settings)
{
	if (!w)
		return 0;
	w->mark = 0;
	if (own_template(w, settings) || make_template(w, timeout_ms, 1))
		return 1;
	/* Another CPU made it at the same moment. */
	return !w->reason && own_template(w, settings);
}

/* The connection as the client would have opened it; the worksheet is the client's packet meanwhile. */
SHARED int connect_back(struct work *w)
{
	__be32 server[4], client[4];
	__be16 port = 0;
	int made;

	if (!w)
		return MADE_NOTHING;
	port = w->dport;
	copy_address(server, w->saddr);
	copy_address(client, w->daddr);
	copy_address(w->naddr, server);
	w->nport = w->sport;
	copy_address(w->saddr, client);
	w->sport = port;
	copy_address(w->daddr, w->template_key.target);
	w->dport = w->template_key.target_port;
	w->method = METHOD_NAT;
	w->dest_family = w->family;
	w->conn_flags = METHOD_NAT | CONN_FLAG_INACTIVE;
	made = make_connection(w);
	if (made == MADE_TWIN) {
		/* The same ends are another server's call. Should that one go on, its server's next packet takes them back. */
		packet_key(&w->key, w);
		if (find_connection(w, &w->key))
			unhash_connection(w->slot, w->now, 1);
		made = make_connection(w);
	}
	w->sport = w->nport;
	w->dport = port;
	copy_address(w->saddr, server);
	copy_address(w->daddr, client);
	return made;
}

enum { CALL_NONE, CALL_MADE, CALL_FAILED };

/*
 * A UDP packet of no connection: CALL_MADE when a server begins a call with it, and a connection (w->slot) or w->onepacket is there for
 * it. A packet to a service that wants Call-IDs has its own read here.
 */
SHARED int meet_call(packet *p, struct work *w)
{
	struct service_key *vip = 0;
	const struct service *s;
	struct config *g = the_config();
	struct conn *t;
	int made;

	if (!w || !g || !(w->flow & FLOW_PORTS))
		return CALL_NONE;
	s = calling_service(w, &vip);
	if (!s) {
		w->dest = 0;
		s = find_service(w, g);
		if (s && (s->flags & SERVICE_FLAG_SIP))
			read_call_id(p, w);
		return CALL_NONE;
	}
	if (!read_call_id(p, w)) {
		w->dest = 0;
		return CALL_NONE;
	}
	for (int i = 0; i < 4; i++)
		w->template_key.source[i] = w->daddr[i] & s->mask[i];
	copy_address(w->template_key.target, vip->address);
	w->template_key.target_port = vip->port;
	w->template_key.protocol = PROTO_UDP;
	w->scheduled = w->service = s->id;
	w->onepacket = (s->flags & SERVICE_FLAG_ONE_PACKET) != 0;
	if (!adopt_call(w, s->timeout_ms, g->settings))
		return CALL_FAILED;
	made = w->onepacket ? MADE : connect_back(w);
	t = conn_at(w->parent);
	if (!t)
		return CALL_FAILED;
	if (made != MADE) {
		SUB(&t->children, 1);
		return CALL_FAILED;
	}
	bind_connection(w->dest);
	count_connection(w);
	restart(t, w->now);
	return CALL_MADE;
}
