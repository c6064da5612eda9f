/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Address and port translation in place. Transport checksums go through bpf_l4_csum_replace, which also knows packets whose checksum
 * the network card is still to fill in.
 */
#pragma once

#include "output.h"
#include "sctp_crc.h"

enum { END_SOURCE, END_TARGET };

INLINE __u32 checksum_at(const struct work *w)
{
	return w->l4 + (w->protocol == PROTO_TCP ? 16 : 6);
}

/* A UDP datagram without a checksum gets one. */
SHARED int give_udp_checksum(packet *p, struct work *w)
{
	__u16 check = 0, length = 0;
	__u64 sum;

	if (!w || PEEK(p, w->l4 + 4, &length, 2) || (w->flow & FLOW_FRAGMENT))
		return 0;
	/* One that lies about its length stays without: the receiver will drop it. */
	if (bpf_ntohs(length) < 8 || w->l4 + bpf_ntohs(length) > w->l3 + w->length)
		return 0;
	sum = pseudo_sum(w->family, w->saddr, w->daddr, PROTO_UDP, bpf_ntohs(length));
	sum += (__u32)sum_bytes(p, w->l4, bpf_ntohs(length));
	check = ~fold16(sum);
	if (!check)
		check = 0xffff;
	return POKE(p, w->l4 + 6, &check, 2) != 0;
}

/* Gives one end of the packet another address (w->naddr or, for the source, w->laddr) and port. */
SHARED int rewrite(packet *p, struct work *w, __u32 end, __u32 port)
{
	__be32 from[4], to[4];
	__be16 old_port, new_port = port;
	__u64 flags = BPF_F_PSEUDO_HDR;
	__u16 check = 1;

	if (!w)
		return 1;
	copy_address(from, end == END_SOURCE ? w->saddr : w->daddr);
	copy_address(to, end == END_SOURCE ? w->laddr : w->naddr);
	old_port = end == END_SOURCE ? w->sport : w->dport;
	if (end == END_SOURCE)
		copy_address(w->saddr, to);
	else
		copy_address(w->daddr, to);
	if (w->family == 4)
		w->check = update32(w->check, from[0], to[0]);
	if (flush_header(p, w, 1))
		return 1;
	if (!(w->flow & FLOW_PORTS))
		return 0;
	if (end == END_SOURCE)
		w->sport = new_port;
	else
		w->dport = new_port;
	if (w->protocol == PROTO_SCTP) {
		if (old_port == new_port)
			return 0;
		if (POKE(p, w->l4 + (end == END_SOURCE ? 0 : 2), &new_port, 2))
			return 1;
		return update_sctp_crc(p, w, end, old_port, new_port);
	}
	if (w->protocol == PROTO_UDP) {
		flags |= BPF_F_MARK_MANGLED_0;
		if (PEEK(p, w->l4 + 6, &check, 2))
			return 1;
	}
	if (check) {
		if (w->family == 4) {
			if (bpf_l4_csum_replace(p, checksum_at(w), from[0], to[0], flags | 4))
				return 1;
		} else {
			__s64 difference = bpf_csum_diff(from, 16, to, 16, 0);

			if (bpf_l4_csum_replace(p, checksum_at(w), 0, (__u32)difference, flags))
				return 1;
		}
	}
	if (old_port != new_port) {
		flags &= ~(__u64)BPF_F_PSEUDO_HDR;
		if (check && bpf_l4_csum_replace(p, checksum_at(w), old_port, new_port, flags | 2))
			return 1;
		if (POKE(p, w->l4 + (end == END_SOURCE ? 0 : 2), &new_port, 2))
			return 1;
	}
	return check ? 0 : give_udp_checksum(p, w);
}
