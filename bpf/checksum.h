/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One's complement arithmetic (RFC 1071, RFC 1624), and sums over parts of packets. Words are as they lie in memory. */
#pragma once

#include "context.h"
#include "work.h"

INLINE __u16 fold16(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A checksum after a 16-bit or 32-bit word that it covers changed. */
INLINE __u16 update16(__u16 check, __u16 from, __u16 to)
{
	return ~fold16((__u64)(__u16)~check + (__u16)~from + to);
}

INLINE __u16 update32(__u16 check, __u32 from, __u32 to)
{
	return ~fold16((__u64)(__u16)~check + (__u32)~from + to);
}

/* A part of a packet to sum up; chunks start at even distances. */
struct summing {
	packet *p;
	__u32 at;
	__u32 left;
	__u64 sum;
};

#define SUM_CHUNK 256

static long sum_chunk(__u32 i, void *context)
{
	struct summing *s = context;
	struct work *w = the_work();
	__u32 length = s->left;

	(void)i;
	if (!w || length == 0)
		return 1;
	if (length > SUM_CHUNK)
		length = SUM_CHUNK;
	length--;
	BOUND(length, SUM_CHUNK - 1);
	length++;
	/* What is not loaded must not count. */
	if (length < SUM_CHUNK)
		__builtin_memset(w->scratch, 0, SUM_CHUNK);
	if (bpf_skb_load_bytes(s->p, s->at, w->scratch, length))
		return 1;
	s->sum += (__u32)bpf_csum_diff(0, 0, (__be32 *)w->scratch, SUM_CHUNK, 0);
	s->at += length;
	s->left -= length;
	return 0;
}

/* The folded sum of `length` bytes at `at`. Uses w->scratch. */
SHARED int sum_bytes(packet *p, __u32 at, __u32 length)
{
	struct summing s = { .p = p };
	struct work *w = the_work();

	if (!w)
		return 0;
	s.at = at + w->zero;
	s.left = length + w->zero;
	s.sum = w->zero;
	bpf_loop((length & 0xffff) / SUM_CHUNK + 1, sum_chunk, &s, 0);
	return fold16(s.sum);
}

/* The sum of the pseudo header of a transport packet. */
INLINE __u64 pseudo_sum(__u32 family, const __be32 *from, const __be32 *to, __u32 protocol, __u32 length)
{
	__u64 sum = (__u64)from[0] + to[0] + bpf_htonl(length) + bpf_htonl(protocol);

	if (family == 6)
		sum += (__u64)from[1] + from[2] + from[3] + to[1] + to[2] + to[3];
	return sum;
}
