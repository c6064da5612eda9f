/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The same director at XDP, for the common case: unfragmented TCP, UDP and SCTP without IP options, NAT and DR, a next hop that is
 * known. It shares every map with the TC programs, decides whether it can finish before it counts anything, and passes the packet on
 * untouched otherwise: the TC program of the same interface then does all of it, fills the next-hop cache, resolves neighbours,
 * writes errors. A new connection may be made here and forwarded there.
 */
#pragma once

#include "headers.h"
#include "random.h"
#include "traffic.h"

struct frame {
	__u8 target[6];
	__u8 source[6];
	__be16 protocol;
};

/* The least that a transport header takes; what follows the datagram in the frame is not of it. */
#define LEAST_TRANSPORT(protocol) ((protocol) == PROTO_TCP ? 20 : 8)

/* Reads the transport header at l4 of the frame; 1 when TC is to look at the packet. */
INLINE int xdp_read_ports(struct xdp_md *x, struct work *w, __u32 l4)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u8 *head = data + l4;

	if ((void *)(head + 8) > end)
		return 1;
	w->sport = *(__be16 *)head;
	w->dport = *(__be16 *)(head + 2);
	w->l4 = l4;
	w->l4_first = 0;
	if (w->protocol == PROTO_TCP) {
		if ((void *)(head + 20) > end)
			return 1;
		w->l4_first = head[13];
	} else if (w->protocol != PROTO_UDP) {
		/* SCTP's chunks are read at TC. */
		return 1;
	}
	w->flow = FLOW_PORTS;
	w->segment = w->length;
	return 0;
}

INLINE int xdp_read(struct xdp_md *x, struct work *w, const struct config *g)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u32 room = end - data - ETH_LENGTH;
	struct frame *frame = data;

	if ((void *)(frame + 1) > end || (frame->target[0] & 1))
		return 1;
	if (frame->protocol == bpf_htons(ETH_IPV4) && g->services4) {
		struct ipv4_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end || ip->version_length != 0x45 || (ip->fragment & bpf_htons(0x3fff)))
			return 1;
		w->family = 4;
		w->protocol = ip->protocol;
		w->length = bpf_ntohs(ip->length);
		w->ttl = ip->ttl;
		w->saddr[0] = ip->source;
		w->daddr[0] = ip->target;
		w->saddr[1] = w->saddr[2] = w->saddr[3] = 0;
		w->daddr[1] = w->daddr[2] = w->daddr[3] = 0;
		if (w->length > room || w->length < 20 + LEAST_TRANSPORT(ip->protocol))
			return 1;
		return xdp_read_ports(x, w, ETH_LENGTH + 20);
	}
	if (frame->protocol == bpf_htons(ETH_IPV6) && g->services6) {
		struct ipv6_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end || bpf_ntohl(ip->class_label) >> 28 != 6)
			return 1;
		w->family = 6;
		w->protocol = ip->next;
		w->length = bpf_ntohs(ip->length) + 40;
		w->ttl = ip->hops;
		copy_address(w->saddr, ip->source);
		copy_address(w->daddr, ip->target);
		if (w->length > room || w->length < 40 + LEAST_TRANSPORT(ip->next))
			return 1;
		return xdp_read_ports(x, w, ETH_LENGTH + 40);
	}
	return 1;
}

/* Whether XDP may send to an interface. */
INLINE int is_outlet(__u32 ifindex)
{
	return bpf_map_lookup_elem(&outlets, &ifindex) != 0;
}

/* Moves one end of a transport checksum's pseudo header and port. */
INLINE __u16 xdp_sum(const struct work *w, __u16 check, const __be32 *from, const __be32 *to, __be16 old_port, __be16 new_port)
{
	__u64 sum = (__u16)~check;

	sum += (__u64)(__u32)~from[0] + to[0];
	if (w->family == 6) {
		sum += (__u64)(__u32)~from[1] + to[1];
		sum += (__u64)(__u32)~from[2] + to[2];
		sum += (__u64)(__u32)~from[3] + to[3];
	}
	sum += (__u64)(__u16)~old_port + new_port;
	return ~fold16(sum);
}

/* Gives one end of the packet another address and port, and writes the TTL. */
INLINE int xdp_rewrite(struct xdp_md *x, struct work *w, __u32 end_at, const __be32 *to, __be16 port)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	const __be32 *from = end_at == END_SOURCE ? w->saddr : w->daddr;
	__be16 old_port = end_at == END_SOURCE ? w->sport : w->dport;
	__u32 l4 = ETH_LENGTH + (w->family == 4 ? 20 : 40);
	__u8 *head = data + l4;
	__u16 *check;

	if ((void *)(head + 8) > end)
		return 1;
	if (w->protocol == PROTO_TCP) {
		if ((void *)(head + 20) > end)
			return 1;
		check = (__u16 *)(head + 16);
		*check = xdp_sum(w, *check, from, to, old_port, port);
	} else {
		check = (__u16 *)(head + 6);
		*check = xdp_sum(w, *check, from, to, old_port, port);
		if (!*check)
			*check = 0xffff;
	}
	*(__be16 *)(head + (end_at == END_SOURCE ? 0 : 2)) = port;
	if (w->family == 4) {
		struct ipv4_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end)
			return 1;
		ip->check = update32(ip->check, from[0], to[0]);
		if (end_at == END_SOURCE)
			ip->source = to[0];
		else
			ip->target = to[0];
	} else {
		struct ipv6_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end)
			return 1;
		copy_address(end_at == END_SOURCE ? ip->source : ip->target, to);
	}
	return 0;
}

/* One hop less, and the next one's addresses; off it goes. */
INLINE int xdp_send(struct xdp_md *x, struct work *w)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	struct frame *frame = data;

	if ((void *)(frame + 1) > end)
		return XDP_ABORTED;
	__builtin_memcpy(frame->target, w->way.target, 6);
	__builtin_memcpy(frame->source, w->way.source, 6);
	if (w->family == 4) {
		struct ipv4_header *ip = data + ETH_LENGTH;
		__u16 old;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		old = ip->ttl | (ip->protocol << 8);
		ip->ttl--;
		ip->check = update16(ip->check, old, old - 1);
	} else {
		struct ipv6_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		ip->hops--;
	}
	return bpf_redirect_map(&outlets, w->way.ifindex, 0);
}

/* A UDP datagram without a checksum is to get one: TC reads it whole. */
INLINE int xdp_lacks_checksum(struct xdp_md *x, const struct work *w)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u8 *head = data + ETH_LENGTH + (w->family == 4 ? 20 : 40);

	if (w->protocol != PROTO_UDP)
		return 0;
	return (void *)(head + 8) > end || *(__u16 *)(head + 6) == 0;
}

/* The next hop of a destination as TC found it lately, if XDP may send there. */
INLINE int xdp_cached_way(struct work *w)
{
	__u32 id = w->dest;
	struct dest_stats *cache = bpf_map_lookup_elem(&dest_stats, &id);

	if (!cache || cache->hop_kind != HOP_NEIGHBOUR || cache->hop_until <= w->now)
		return 0;
	w->way.ifindex = cache->hop_ifindex;
	w->way.mtu = cache->hop_mtu;
	__builtin_memcpy(w->way.target, cache->hop_target, 12);
	return 1;
}

SHARED int xdp_request(struct xdp_md *x, struct work *w)
{
	struct config *g = the_config();
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;

	if (!c || !g || g->stand_back)
		return XDP_PASS;
	if (!(w->flow & FLOW_FRESH) && opens_anew(w) && reusable(w, g, c))
		return XDP_PASS;
	load_connection(w, c);
	if ((w->method != METHOD_NAT && w->method != METHOD_DR) || w->watched || w->ttl <= 1 || !w->available)
		return XDP_PASS;
	if (!xdp_cached_way(w) || w->length > w->way.mtu || is_loopback(w->family, w->saddr))
		return XDP_PASS;
	if (w->method == METHOD_NAT) {
		if (xdp_lacks_checksum(x, w) || xdp_rewrite(x, w, END_TARGET, w->naddr, w->nport))
			return XDP_PASS;
	}
	count_in(w);
	track(w, g, c, TOWARDS_SERVER);
	c->in_packets++;
	announce_request(w, g, c);
	restart(c, w->now);
	return xdp_send(x, w);
}

/* The way to the client w->naddr (prepare_reply), if XDP may send there and the packet fits. */
INLINE int xdp_route_back(struct xdp_md *x, struct work *w, const struct config *g)
{
	struct bpf_fib_lookup *fib = &w->fib;
	int keep = g->settings & SETTING_KEEP_ROUTE;
	struct trace *t;
	__u32 zero = 0;

	if (in_test(w)) {
		t = bpf_map_lookup_elem(&trace, &zero);
		w->way.ifindex = LO_IFINDEX;
		return t && (!t->mtu || w->length <= t->mtu);
	}
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = keep ? x->ingress_ifindex : LO_IFINDEX;
	fib->tot_len = w->length;
	fib_ends(fib, w->family, w->naddr, keep ? w->saddr : w->laddr);
	if (bpf_fib_lookup(x, fib, sizeof(*fib), 0) != BPF_FIB_LKUP_RET_SUCCESS || !is_outlet(fib->ifindex))
		return 0;
	w->way.ifindex = fib->ifindex;
	__builtin_memcpy(w->way.target, fib->dmac, 6);
	__builtin_memcpy(w->way.source, fib->smac, 6);
	return 1;
}

SHARED int xdp_reply(struct xdp_md *x, struct work *w)
{
	struct config *g = the_config();
	struct conn *c = w ? conn_at(w->slot) : (struct conn *)0;

	if (!c || !g)
		return XDP_PASS;
	load_connection(w, c);
	/* Now and then TC sends one, which keeps the neighbour's entry alive. */
	if (w->method != METHOD_NAT || w->watched || w->ttl <= 1 || xdp_lacks_checksum(x, w) || !chance(w->test, 64))
		return XDP_PASS;
	GET_END(w->naddr, c, client, w->family);
	GET_END(w->laddr, c, virtual, w->family);
	if (!xdp_route_back(x, w, g))
		return XDP_PASS;
	if (xdp_rewrite(x, w, END_SOURCE, w->laddr, c->virtual_port))
		return XDP_PASS;
	if (w->available)
		count_out(w);
	track(w, g, c, TOWARDS_CLIENT);
	restart(c, w->now);
	return xdp_send(x, w);
}

/* A packet without a connection: scheduled here when TC would do the same. */
SHARED int xdp_new(struct xdp_md *x, struct work *w)
{
	struct config *g = the_config();

	/* What counts packets, or answers them, is done once: at TC. */
	if (!w || !g || g->stand_back || g->drop_rate || (g->settings & SETTING_NAT_ICMP_SEND))
		return XDP_PASS;
	/* A server's call, maybe, or one to be read. */
	if (g->sip_services && w->protocol == PROTO_UDP)
		return XDP_PASS;
	if ((g->oneway_dests && !asks_service_first(w, g) && find_passing(w)) || find_waiting(w))
		return XDP_PASS;
	if (schedule(w) != OUTCOME_MADE || w->onepacket)
		return XDP_PASS;
	return xdp_request(x, w);
}

INLINE int at_xdp(struct xdp_md *x)
{
	struct config *g = the_config();
	struct work *w = the_work();
	struct conn *c;

	if (!g || !w || (!g->services4 && !g->services6))
		return XDP_PASS;
	w->now = now_ns(g);
	w->test = g->test;
	w->hook = HOOK_XDP;
	w->mark = 0;
	w->l3 = ETH_LENGTH;
	w->slot = 0;
	w->dest = 0;
	w->service = 0;
	w->parent = 0;
	w->onepacket = 0;
	w->reason = 0;
	w->lport = 0;
	if (xdp_read(x, w, g))
		return XDP_PASS;
	c = find_packet(w);
	if (!c)
		return xdp_new(x, w);
	return w->flow & FLOW_REPLY ? xdp_reply(x, w) : xdp_request(x, w);
}
