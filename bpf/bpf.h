/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What every file here starts from: kernel interfaces, byte order, a few idioms. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "layout.h"

#define INLINE static __always_inline
/* A function of its own that the verifier checks once, whoever calls it. */
#define SHARED __noinline

#define NS_PER_MS 1000000ULL

#define ETH_LENGTH 14
#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd

#define PROTO_ICMP 1
#define PROTO_IPIP 4
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_IPV6 41
#define PROTO_GRE 47
#define PROTO_ESP 50
#define PROTO_AH 51
#define PROTO_ICMPV6 58
#define PROTO_SCTP 132

/* linux/socket.h does not compile for BPF. */
#define FAMILY_INET 2
#define FAMILY_INET6 10

#define FTP_PORT 21
#define FTP_DATA_PORT 20
#define ISAKMP_PORT 500

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* A word that other CPUs change is read and written once. */
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

#define ADD(p, n) __sync_fetch_and_add((p), (n))
#define SUB(p, n) __sync_fetch_and_add((p), -(n))
#define CAS(p, old, new) __sync_val_compare_and_swap((p), (old), (new))

/* Keeps an index below a power of two where the compiler knows that it is and the verifier (6.1) does not. */
#define BOUND(x, mask) asm volatile("%0 &= %1" : "+r"(x) : "i"(mask))

INLINE void copy_address(__be32 *to, const __be32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

INLINE int same_address(const __be32 *a, const __be32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* 127.0.0.0/8 or ::1. */
INLINE int is_loopback(__u32 family, const __be32 *a)
{
	if (family == 4)
		return (a[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] == bpf_htonl(1);
}
