/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * One packet's worksheet: what was read from it, what was decided. It lies in a per-CPU map because the stack has 512 bytes, and
 * because the verifier forgets what it knew of map memory, which keeps it from walking every combination of decisions.
 */
#pragma once

#include "maps.h"

/* Where the packet was caught. */
enum { HOOK_INGRESS, HOOK_LOOPBACK, HOOK_EGRESS, HOOK_MARKED, HOOK_XDP };

/* Bits of work.flow. */
enum {
	FLOW_FRAGMENT = 1,
	FLOW_LATER = 2,	    /* a fragment that is not the first: no transport header */
	FLOW_TRUNCATED = 4, /* the transport header is not complete */
	FLOW_QUOTED = 8,    /* quoted by an ICMP error */
	FLOW_PORTS = 16,    /* TCP, UDP or SCTP with readable ports */
	FLOW_REPLY = 32,    /* found by the key of replies */
	FLOW_DONT = 64,	    /* IPv4 with DF */
	FLOW_FRESH = 128,   /* its connection was made for this packet */
	FLOW_ASIDE = 256,   /* may be a reply that passes by, if it is for no service */
	FLOW_CUT = 1024,    /* a fragment that follows one that the stack cuts */
	FLOW_CALL = 512,    /* its Call-ID was read */
};

/* A scan over a service's destinations; see schedulers.h. */
struct scan {
	__u32 kind;
	__u32 at;
	__u32 count;
	__u32 best;
	__u32 best_index;
	__u32 idle;
	__u32 level;
	__s32 after;
	__u32 top;
	__u32 spare;
	__u64 best_load;
	__u64 best_weight;
};

/* The way out of the director. */
struct way {
	__u32 kind; /* HOP_* */
	__u32 ifindex;
	__u32 mtu;
	__u32 family; /* of the gateway */
	__be32 gateway[4];
	__u8 target[6];
	__u8 source[6];
};

struct work {
	__u64 now;
	__u32 family;
	__u32 protocol;
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport;
	__be16 dport;
	__u32 flow;
	__u32 hook;
	__u32 l3;	  /* offset of the IP header in the frame */
	__u32 l4;	  /* offset of the transport header */
	__u32 length;	  /* bytes of the IP packet */
	__u32 segment;	  /* the same, or of its longest piece when it will be segmented */
	__u32 frag_id;
	__u32 mark;
	__u32 l4_first;	  /* TCP flags; SCTP event; ICMP type << 8 | code */
	__u32 sctp_type;  /* type of the first chunk */
	__u32 tos;
	__u32 ttl;
	__u32 check;	  /* IPv4 header checksum, as in the packet */
	__u32 ifindex;	  /* where it came in */
	/* decisions */
	__u32 slot;	  /* connection, 0 = none */
	__u32 tag;	  /* its generation */
	__u32 dest;	  /* destination id */
	__u32 method;
	__u32 service;	  /* of the destination */
	__u32 scheduled;  /* the service that the packet matched: under persistence the destination may be another's */
	__u32 available;  /* the destination belongs to its service */
	__u32 test;	  /* TEST_*: copied, as the packet path asks often */
	__u32 onepacket;  /* the connection is for this packet only, and not in the slab */
	__u32 parent;
	__u32 conn_flags;
	__u32 dest_family;
	__be32 naddr[4];  /* where a request goes */
	__be16 nport;
	__be16 lport;	  /* full-NAT */
	__be32 laddr[4];  /* full-NAT: local address; replies: virtual address */
	__u32 local_at;	  /* full-NAT: the service's local addresses */
	__u32 local_count;
	__u32 watched;	  /* not 0: the connection is under the FTP helper; WAY_PLANNED: and announced another */
	__u32 shifted;	  /* what shift_quoted() added to the sum of the error */
	__u32 reason;	  /* DROP_* */
	__u32 zero;	  /* always 0, which the verifier cannot know */
	struct scan scan;
	struct way way;
	struct key key;
	struct bpf_fib_lookup fib;
	struct bpf_redir_neigh hop;
	struct key template_key;
	__be32 masked[4];
	struct call call; /* SIP: the call it is of */
	__u32 scanning;	  /* SIP: where reading the Call-ID is, SCAN_* */
	__u8 scratch[1536];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

INLINE struct work *the_work(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&works, &zero);
}

/* A second worksheet: of the packet that an ICMP error quotes, of the data connection that an FTP line announces. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} quotes SEC(".maps");

INLINE struct work *the_quote(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&quotes, &zero);
}

/* Nanoseconds, monotonic; a test may set the clock. */
INLINE __u64 now_ns(const struct config *c)
{
	if (c->test & TEST_CLOCK)
		return READ_ONCE(c->test_now_ns);
	return bpf_ktime_get_coarse_ns();
}
