/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From bytes to a worksheet: addresses, ports, lengths, and the few bytes that state machines look at. */
#pragma once

#include "context.h"
#include "headers.h"
#include "work.h"

#define EXTENSION_HOP_BY_HOP 0
#define EXTENSION_ROUTING 43
#define EXTENSION_FRAGMENT 44
#define EXTENSION_OPTIONS 60
/* Extension headers that are walked; packets with more are left to the stack. */
#define EXTENSIONS 6

enum { PARSE_OK, PARSE_UNKNOWN, PARSE_MORE };

INLINE int parse4(packet *p, struct work *w, __u32 l3, __u32 room)
{
	struct ipv4_header ip;
	__u32 header, total, fragment;

	if (PEEK(p, l3, &ip, sizeof(ip)))
		return PARSE_UNKNOWN;
	header = (ip.version_length & 15) * 4;
	total = bpf_ntohs(ip.length);
	if (ip.version_length >> 4 != 4 || header < 20 || total < header)
		return PARSE_UNKNOWN;
	/* Of a quote counts what is there, whatever its length field says. */
	if (w->flow & FLOW_QUOTED)
		total = room;
	if (total > room)
		return PARSE_UNKNOWN;
	if (header > total)
		return PARSE_UNKNOWN;
	w->family = 4;
	w->protocol = ip.protocol;
	w->l4 = l3 + header;
	w->length = total;
	w->tos = ip.tos;
	w->ttl = ip.ttl;
	w->check = ip.check;
	w->frag_id = ip.id;
	w->saddr[0] = ip.source;
	w->daddr[0] = ip.target;
	w->saddr[1] = w->saddr[2] = w->saddr[3] = 0;
	w->daddr[1] = w->daddr[2] = w->daddr[3] = 0;
	fragment = bpf_ntohs(ip.fragment);
	if (fragment & 0x3fff)
		w->flow |= FLOW_FRAGMENT;
	if (fragment & 0x1fff)
		w->flow |= FLOW_LATER;
	if (fragment & 0x4000)
		w->flow |= FLOW_DONT;
	return PARSE_OK;
}

/* Steps over an extension header; PARSE_MORE when another one may follow. */
SHARED int skip_extension(packet *p, struct work *w, __u32 end)
{
	__u8 *head;
	__u32 word;

	if (!w)
		return PARSE_UNKNOWN;
	head = w->scratch;
	if (w->protocol != EXTENSION_FRAGMENT && w->protocol != EXTENSION_HOP_BY_HOP &&
	    w->protocol != EXTENSION_ROUTING && w->protocol != EXTENSION_OPTIONS)
		return PARSE_OK;
	if (w->l4 + 8 > end || PEEK(p, w->l4, head, 8))
		return PARSE_UNKNOWN;
	if (w->protocol != EXTENSION_FRAGMENT) {
		w->protocol = head[0];
		w->l4 += (head[1] + 1) * 8;
		return w->l4 > end ? PARSE_UNKNOWN : PARSE_MORE;
	}
	word = (head[2] << 8) | head[3];
	w->frag_id = *(__u32 *)&head[4];
	w->protocol = head[0];
	w->l4 += 8;
	if (word & 0xfff9)
		w->flow |= FLOW_FRAGMENT;
	if (!(word & 0xfff8))
		return PARSE_MORE;
	w->flow |= FLOW_LATER;
	return PARSE_OK;
}

/* Walks the extension headers; w->l4 and w->protocol are where and what comes behind. */
INLINE int walk6(packet *p, struct work *w, __u32 end)
{
	int found;

	for (int i = 0; i < EXTENSIONS; i++) {
		found = skip_extension(p, w, end);
		if (found != PARSE_MORE)
			return found;
	}
	return PARSE_UNKNOWN;
}

INLINE int parse6(packet *p, struct work *w, __u32 l3, __u32 room)
{
	struct ipv6_header *ip = (struct ipv6_header *)w->scratch;
	__u32 total;

	if (PEEK(p, l3, ip, sizeof(*ip)))
		return PARSE_UNKNOWN;
	total = sizeof(*ip) + bpf_ntohs(ip->length);
	if (bpf_ntohl(ip->class_label) >> 28 != 6)
		return PARSE_UNKNOWN;
	if (w->flow & FLOW_QUOTED)
		total = room;
	if (total > room)
		return PARSE_UNKNOWN;
	w->family = 6;
	w->protocol = ip->next;
	w->l4 = l3 + sizeof(*ip);
	w->length = total;
	w->tos = (bpf_ntohl(ip->class_label) >> 20) & 0xff;
	w->ttl = ip->hops;
	w->check = 0;
	copy_address(w->saddr, ip->source);
	copy_address(w->daddr, ip->target);
	if (ip->next == PROTO_TCP || ip->next == PROTO_UDP || ip->next == PROTO_ICMPV6)
		return PARSE_OK;
	return walk6(p, w, l3 + total);
}

/* SCTP's first chunk, and ABORT when that follows a COOKIE-ECHO or COOKIE-ACK: events as in core/states/sctp.ts. */
INLINE void parse_chunks(packet *p, struct work *w, __u32 end)
{
	/* DATA INIT INIT-ACK SACK HEARTBEAT HEARTBEAT-ACK ABORT SHUTDOWN SHUTDOWN-ACK ERROR COOKIE-ECHO COOKIE-ACK ECNE CWR
	 * SHUTDOWN-COMPLETE, a hex digit each. */
	const __u64 events = 0x700438659000210ULL;
	__u8 chunk[4];
	__u32 type, length, second;

	w->l4_first = 255;
	w->sctp_type = 255;
	if (w->l4 + 16 > end || PEEK(p, w->l4 + 12, chunk, 4))
		return;
	type = chunk[0];
	w->sctp_type = type;
	if (type == 10 || type == 11) {
		length = (chunk[2] << 8) | chunk[3];
		second = w->l4 + 12 + ((length + 3) & ~3);
		if (length >= 4 && second + 4 <= end && second < 0x3fff && !PEEK(p, second, chunk, 4) && chunk[0] == 6)
			type = 6;
	}
	w->l4_first = type < 15 ? (events >> (type * 4)) & 15 : 0;
	/* A type of 255 exists: what matters of sctp_type is INIT and ABORT only. */
	if (w->sctp_type == 255)
		w->sctp_type = 254;
}

/* Ports, and what the state machines look at. */
INLINE void parse_ports(packet *p, struct work *w, __u32 end)
{
	__u32 need = w->protocol == PROTO_TCP ? 20 : w->protocol == PROTO_UDP ? 8 : w->protocol == PROTO_SCTP ? 12 : 0;
	__u8 head[14];
	__be16 ports[2];

	w->sport = w->dport = 0;
	w->l4_first = 0;
	w->segment = w->length;
	if (need == 0 || (w->flow & FLOW_LATER))
		return;
	if (w->flow & FLOW_QUOTED)
		need = 4;
	if (w->l4 + need > end) {
		w->flow |= FLOW_TRUNCATED;
		return;
	}
	if (w->protocol == PROTO_TCP && need == 20) {
		if (PEEK(p, w->l4, head, 14)) {
			w->flow |= FLOW_TRUNCATED;
			return;
		}
		w->sport = *(__be16 *)&head[0];
		w->dport = *(__be16 *)&head[2];
		w->l4_first = head[13];
		w->segment = (head[12] >> 4) * 4; /* made a length by measure() */
		w->flow |= FLOW_PORTS;
		return;
	}
	if (PEEK(p, w->l4, ports, 4)) {
		w->flow |= FLOW_TRUNCATED;
		return;
	}
	w->sport = ports[0];
	w->dport = ports[1];
	w->flow |= FLOW_PORTS;
	w->segment = 8;
	if (w->protocol == PROTO_SCTP && need != 4) {
		w->segment = 12;
		parse_chunks(p, w, end);
	}
}

/* Length of the longest packet on the wire: segments are cut from what segmentation offload left whole. */
INLINE void measure(packet *p, struct work *w)
{
	__u32 gso = p->gso_size;

	if (gso && (w->flow & FLOW_PORTS))
		w->segment = w->l4 - w->l3 + w->segment + gso;
	else
		w->segment = w->length;
}

/* Reads the IP packet at l3. */
INLINE int parse(packet *p, struct work *w, __u32 l3, __u32 protocol)
{
	__u32 room = PACKET_LENGTH(p) - l3;

	w->l3 = l3;
	w->flow = 0;
	if (protocol == bpf_htons(ETH_IPV4)) {
		if (parse4(p, w, l3, room))
			return PARSE_UNKNOWN;
	} else {
		if (parse6(p, w, l3, room))
			return PARSE_UNKNOWN;
	}
	parse_ports(p, w, l3 + w->length);
	measure(p, w);
	return PARSE_OK;
}
