/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the packet benchmark is made of: a generator, run by BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES, and a sink.
 *
 * The generator writes every header anew: the pages of live frames are used again, as the director left them.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FLOWS_AN_ADDRESS 16384
#define FIRST_PORT 1024
#define IPV4 0x0800
#define TCP 6

/* What the generator sends; written by user space, in the machine's byte order. */
struct shape {
	__u32 outlet;  /* index into `outlets` */
	__u32 flows;   /* how many flows take turns */
	__u32 next;    /* counts packets */
	__u32 clients; /* first address of the clients */
	__u32 target;  /* address */
	__u32 port;
	__u32 protocol;
	__u8 mac[8]; /* of the next hop */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shape);
} shape SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} outlets SEC(".maps");

/* Packets that came, by interface. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} counted SEC(".maps");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u32 halves(__u32 word)
{
	return (word >> 16) + (word & 0xffff);
}

SEC("xdp")
int generate(struct xdp_md *x)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u32 zero = 0, flow, source, sport, length, sum;
	struct shape *s = bpf_map_lookup_elem(&shape, &zero);
	__be16 *frame = data;

	if (!s || data + 60 > end || !s->flows)
		return XDP_ABORTED;
	flow = s->next++ % s->flows;
	source = s->clients + flow / FLOWS_AN_ADDRESS;
	sport = FIRST_PORT + flow % FLOWS_AN_ADDRESS;
	length = s->protocol == TCP ? 40 : 46;

	__builtin_memcpy(frame, s->mac, 6);
	frame[3] = bpf_htons(0x0200);
	frame[4] = 0;
	frame[5] = bpf_htons(1);
	frame[6] = bpf_htons(IPV4);
	frame[7] = bpf_htons(0x4500);
	frame[8] = bpf_htons(length);
	frame[9] = 0;
	frame[10] = bpf_htons(0x4000); /* may not be fragmented */
	frame[11] = bpf_htons(64 << 8 | s->protocol);
	sum = 0x4500 + length + 0x4000 + (64 << 8 | s->protocol) + halves(source) + halves(s->target);
	frame[12] = ~bpf_htons(fold(sum));
	frame[13] = bpf_htons(source >> 16);
	frame[14] = bpf_htons(source);
	frame[15] = bpf_htons(s->target >> 16);
	frame[16] = bpf_htons(s->target);
	frame[17] = bpf_htons(sport);
	frame[18] = bpf_htons(s->port);
	frame[19] = frame[20] = frame[21] = frame[22] = frame[23] = frame[24] = 0;
	frame[25] = frame[26] = frame[27] = frame[28] = frame[29] = 0;
	sum = halves(source) + halves(s->target) + s->protocol + (length - 20) + sport + s->port;
	if (s->protocol == TCP) {
		frame[23] = bpf_htons(0x5002); /* 5 words, SYN */
		frame[24] = bpf_htons(0x7210);
		frame[25] = ~bpf_htons(fold(sum + 0x5002 + 0x7210));
	} else {
		frame[19] = bpf_htons(length - 20);
		frame[20] = ~bpf_htons(fold(sum + length - 20));
	}
	return bpf_redirect_map(&outlets, s->outlet, 0);
}

SEC("xdp")
int sink(struct xdp_md *x)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u32 interface = x->ingress_ifindex;
	__be16 *frame = data;
	__u64 *n;

	if (data + 34 > end || frame[6] != bpf_htons(IPV4))
		return XDP_DROP;
	n = bpf_map_lookup_elem(&counted, &interface);
	if (n)
		*n += 1;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
