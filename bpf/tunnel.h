/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Outer headers of the TUN method: IPIP, GRE and GUE over IPv4 or IPv6 (core/forward/tunnel.ts). */
#pragma once

#include "answers.h"
#include "headers.h"

#define GRE_CHECKSUM 0x8000
#define UDP_LENGTH 8
#define GUE_LENGTH 4

/* Bytes that tunneling to a server adds. */
INLINE __u32 overhead_of(const struct dest *d)
{
	__u32 ip = d->family == 4 ? 20 : 40;

	if (d->tunnel == TUNNEL_GUE)
		return ip + UDP_LENGTH + GUE_LENGTH;
	if (d->tunnel == TUNNEL_GRE)
		return ip + (d->tunnel_flags & TUNNEL_FLAG_CSUM ? 8 : 4);
	return ip;
}

/* The inner class, but "congestion experienced" is not copied outside. */
INLINE __u32 outer_class(const struct work *w)
{
	return (w->tos & 3) == 3 ? (w->tos & ~3) | 2 : w->tos;
}

/* One source port a flow, so that receivers spread the tunnel over their queues. */
INLINE __u32 flow_port(const struct work *w)
{
	__u32 h = ((((__u32)bpf_ntohs(w->sport) << 16) | bpf_ntohs(w->dport)) * 0x9e3779b1u) ^ w->protocol;

	for (int i = 0; i < 4; i++)
		h = ((h ^ bpf_ntohl(w->saddr[i]) ^ (bpf_ntohl(w->daddr[i]) << 1)) * 0x85ebca6bu) ^ (h >> 15);
	return 32768 + h % 28232;
}

struct outer {
	__u32 protocol;
	__u32 total; /* outer IP header to the packet's end */
	__u32 ip;    /* length of the outer IP header */
	__u32 dont;
	__u64 inner; /* sum of the packet inside, for a checksum */
};

INLINE int write_outer_ip(packet *p, struct work *w, const struct dest *d, const struct outer *o)
{
	if (d->family == 4) {
		struct ipv4_header ip = {};

		ip.version_length = 0x45;
		ip.tos = outer_class(w);
		ip.length = bpf_htons(o->total);
		/* What may be fragmented on its way needs an identification of its own. */
		ip.id = o->dont || in_test(w) ? 0 : bpf_get_prandom_u32();
		ip.fragment = o->dont ? bpf_htons(0x4000) : 0;
		ip.ttl = w->ttl;
		ip.protocol = o->protocol;
		ip.source = d->source[0];
		ip.target = d->address[0];
		ip.check = ~fold16((__u32)bpf_csum_diff(0, 0, (__be32 *)&ip, sizeof(ip), 0));
		return POKE(p, w->l3, &ip, sizeof(ip)) != 0;
	} else {
		struct ipv6_header ip = {};

		ip.class_label = bpf_htonl(0x60000000 | (outer_class(w) << 20));
		ip.length = bpf_htons(o->total - sizeof(ip));
		ip.next = o->protocol;
		ip.hops = w->ttl;
		copy_address(ip.source, d->source);
		copy_address(ip.target, d->address);
		return POKE(p, w->l3, &ip, sizeof(ip)) != 0;
	}
}

INLINE int write_gre(packet *p, struct work *w, const struct dest *d, const struct outer *o, int checked)
{
	struct {
		__be16 flags;
		__be16 protocol;
		__u16 check;
		__u16 reserved;
	} gre = {};
	__u32 at = w->l3 + o->ip;

	(void)d;
	gre.protocol = bpf_htons(w->family == 6 ? ETH_IPV6 : ETH_IPV4);
	if (!checked)
		return POKE(p, at, &gre, 4) != 0;
	gre.flags = bpf_htons(GRE_CHECKSUM);
	gre.check = ~fold16((__u64)gre.flags + gre.protocol + o->inner);
	return POKE(p, at, &gre, 8) != 0;
}

INLINE int write_gue(packet *p, struct work *w, const struct dest *d, const struct outer *o, int checked)
{
	struct {
		__be16 source;
		__be16 target;
		__be16 length;
		__u16 check;
		__u8 version;
		__u8 protocol;
		__be16 flags;
	} gue = {};
	__u32 at = w->l3 + o->ip, length = o->total - o->ip;
	__u64 sum;

	gue.source = bpf_htons(flow_port(w));
	gue.target = d->tunnel_port;
	gue.length = bpf_htons(length);
	gue.protocol = w->family == 4 ? PROTO_IPIP : PROTO_IPV6;
	if (checked) {
		sum = pseudo_sum(d->family, d->source, d->address, PROTO_UDP, length);
		sum += (__u32)bpf_csum_diff(0, 0, (__be32 *)&gue, sizeof(gue), 0);
		sum += o->inner;
		gue.check = ~fold16(sum);
		if (!gue.check)
			gue.check = 0xffff;
	}
	return POKE(p, at, &gue, sizeof(gue)) != 0;
}

/* Puts the outer headers before the packet, whose own TTL is written already. `cut`: it will be, which fills in a pending checksum. */
SHARED int encapsulate(packet *p, struct work *w, __u32 discover, __u32 cut)
{
	struct dest *d = w ? dest_at(w->dest) : (struct dest *)0;
	struct outer o = {};
	__u64 flags;
	int checked, segmented = p->gso_size != 0;
	__be16 type;

	if (!d)
		return 1;
	/* A checksum over what is still to be segmented cannot be written here. */
	checked = d->tunnel_flags && !segmented;
	o.ip = d->family == 4 ? 20 : 40;
	o.dont = discover && w->family == 4 && (w->flow & FLOW_DONT);
	o.protocol = w->family == 4 ? PROTO_IPIP : PROTO_IPV6;
	o.total = w->length + o.ip;
	flags = d->family == 4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	if (d->tunnel == TUNNEL_GUE) {
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
		o.protocol = PROTO_UDP;
		o.total += UDP_LENGTH + GUE_LENGTH;
	} else if (d->tunnel == TUNNEL_GRE) {
		checked = checked && (d->tunnel_flags & TUNNEL_FLAG_CSUM);
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
		o.protocol = PROTO_GRE;
		o.total += checked ? 8 : 4;
	}
	if (checked)
		o.inner = cut ? quoted_sum(p, w, w->length) : (__u64)(__u32)sum_bytes(p, w->l3, w->length);
	if (segmented && w->protocol == PROTO_UDP)
		flags |= BPF_F_ADJ_ROOM_FIXED_GSO;
	if (bpf_skb_adjust_room(p, o.total - w->length, BPF_ADJ_ROOM_MAC, flags))
		return 1;
	if (d->family != w->family && w->l3 == ETH_LENGTH) {
		type = bpf_htons(d->family == 4 ? ETH_IPV4 : ETH_IPV6);
		if (POKE(p, 12, &type, 2))
			return 1;
	}
	if (d->tunnel == TUNNEL_GUE && write_gue(p, w, d, &o, checked))
		return 1;
	if (d->tunnel == TUNNEL_GRE && write_gre(p, w, d, &o, checked))
		return 1;
	return write_outer_ip(p, w, d, &o);
}
