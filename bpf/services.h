/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which virtual service a packet belongs to: by mark, by exact address and port, as FTP data of a port-21 service, by address alone;
 * and which real server it comes from.
 */
#pragma once

#include "work.h"

INLINE const struct service *find_service(const struct work *w, const struct config *g)
{
	struct service_key k = {};
	const struct service *s;
	__u32 port = bpf_ntohs(w->dport);

	if (w->mark && g->mark_services) {
		k.address[0] = w->mark;
		k.family = w->family | 0x80;
		s = bpf_map_lookup_elem(&services, &k);
		if (s)
			return s;
	}
	copy_address(k.address, w->daddr);
	k.port = w->dport;
	k.protocol = w->protocol;
	k.family = w->family;
	s = bpf_map_lookup_elem(&services, &k);
	if (s)
		return s;
	if (g->ftp_services && w->protocol == PROTO_TCP && (port == FTP_DATA_PORT || port >= g->port_start)) {
		k.port = bpf_htons(FTP_PORT);
		s = bpf_map_lookup_elem(&services, &k);
		if (s)
			return s;
	}
	if (!g->any_port_services)
		return 0;
	k.port = 0;
	return bpf_map_lookup_elem(&services, &k);
}

/* The destination whose packet this is, by its address and port; 0 = none. */
INLINE __u32 nat_server(const struct work *w)
{
	struct service_key k = {};
	__u32 *id;

	copy_address(k.address, w->saddr);
	k.port = w->sport;
	k.protocol = w->protocol;
	k.family = w->family;
	id = bpf_map_lookup_elem(&servers, &k);
	if (id)
		return *id;
	k.protocol = 0;
	id = bpf_map_lookup_elem(&servers, &k);
	return id ? *id : 0;
}
