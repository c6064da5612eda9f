/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The schedulers that hash: sh, dh, mh. Their tables are filled in user space, by the code that the model uses
 * (src/core/schedulers/sh.ts, mh.ts); dh needs none, slot n being destination n modulo their number.
 */
#pragma once

#include "destinations.h"

#define SH_SLOTS 256
#define MH_SLOTS 4093
#define MH_KEY_SLOT 2654435761ULL
#define GOLDEN_RATIO 0x61C88647U

struct hash_table {
	__u16 dest[LIMIT_TABLE];
};

struct table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	/* By size: of types behind an inner map clang leaves no more than the name. */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct hash_table));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__array(values, struct table_map);
} tables SEC(".maps");

INLINE struct hash_table *table_of(__u32 service)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&tables, &service);

	return inner ? bpf_map_lookup_elem(inner, &zero) : (void *)0;
}

/* An address as one number: IPv6 is the exclusive or of its words. */
INLINE __u32 fold_address(__u32 family, const __be32 *a)
{
	return family == 4 ? bpf_ntohl(a[0]) : bpf_ntohl(a[0] ^ a[1] ^ a[2] ^ a[3]);
}

INLINE __u32 hash8(__u32 value)
{
	return (value * GOLDEN_RATIO) >> 24;
}

INLINE int usable_id(__u32 id)
{
	struct load *l = load_of(id);

	return id && l && usable(l);
}

/* An entry of a table. The compiler knows that slots are in it and would leave the bound out, which the verifier wants to see. */
INLINE __u32 entry_of(const struct hash_table *table, __u32 slot)
{
	asm volatile("" : "+r"(slot));
	return table->dest[slot & (LIMIT_TABLE - 1)];
}

/* What of the client is hashed. */
INLINE __u32 client_value(const struct work *w, __u32 flags)
{
	__u32 value = fold_address(w->family, w->saddr);

	return flags & SERVICE_FLAG_SCHED_PORT ? value + bpf_ntohs(w->sport) : value;
}

/* A walk past unusable slots. */
struct walk {
	struct hash_table *table;
	__u32 value;
	__u32 slot;
	__u32 found;
};

/* One step: 1 ends the walk, at a server or in an empty table. */
INLINE long try_entry(struct walk *walk, __u32 slot)
{
	__u32 id = entry_of(walk->table, slot);

	if (!id)
		return 1;
	if (!usable_id(id))
		return 0;
	walk->found = id;
	return 1;
}

/* The server at walk->slot, or, with fallback, the first usable one of the walk from there. */
INLINE int look_up(struct work *w, struct walk *walk, __u32 flags, __u32 slots, long (*step)(__u32, struct walk *))
{
	__u32 id = entry_of(walk->table, walk->slot);

	if (usable_id(id))
		return id;
	if (!id || !(flags & SERVICE_FLAG_SCHED_FALLBACK))
		return 0;
	/* Not a constant: kernels before 6.7 would believe that it stays 0. */
	walk->found = w->zero;
	bpf_loop(slots, step, walk, 0);
	return walk->found;
}

static long try_sh(__u32 k, struct walk *walk)
{
	__u32 offset = (k + walk->slot) % SH_SLOTS;

	return try_entry(walk, (offset + walk->slot) % SH_SLOTS);
}

/* Source hashing. */
SHARED int pick_sh(struct work *w, __u32 service, __u32 flags)
{
	struct walk walk = {};

	if (!w)
		return 0;
	walk.table = table_of(service);
	if (!walk.table)
		return 0;
	walk.slot = hash8(client_value(w, flags));
	return look_up(w, &walk, flags, SH_SLOTS, try_sh);
}

#define ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define SIP_ROUND                                                                                                      \
	do {                                                                                                           \
		a += b, b = ROTATE(b, 13) ^ a, a = ROTATE(a, 32);                                                      \
		c += d, d = ROTATE(d, 16) ^ c;                                                                         \
		a += d, d = ROTATE(d, 21) ^ a;                                                                         \
		c += b, b = ROTATE(b, 17) ^ c, c = ROTATE(c, 32);                                                      \
	} while (0)

/* SipHash-1-3 of one word, as hsiphash_1u32 (lib/siphash.c) on 64-bit machines. */
INLINE __u32 sip_hash13(__u32 value, __u64 key)
{
	__u64 a = 0x736f6d6570736575ULL ^ key, b = 0x646f72616e646f6dULL ^ key;
	__u64 c = 0x6c7967656e657261ULL ^ key, d = 0x7465646279746573ULL ^ key;
	__u64 block = 4ULL << 56 | value;

	d ^= block;
	SIP_ROUND;
	a ^= block;
	c ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return a ^ b ^ c ^ d;
}

INLINE __u32 mh_slot(__u32 value)
{
	return sip_hash13(value, MH_KEY_SLOT) % MH_SLOTS;
}

static long try_mh(__u32 k, struct walk *walk)
{
	return try_entry(walk, mh_slot(walk->value + (k + walk->slot) % MH_SLOTS));
}

/* Maglev hashing. */
SHARED int pick_mh(struct work *w, __u32 service, __u32 flags)
{
	struct walk walk = {};

	if (!w)
		return 0;
	walk.table = table_of(service);
	if (!walk.table)
		return 0;
	walk.value = client_value(w, flags);
	walk.slot = mh_slot(walk.value);
	return look_up(w, &walk, flags, MH_SLOTS, try_mh);
}

/* Destination hashing. Its list is w->scan's. */
SHARED int pick_dh(struct work *w)
{
	__u32 zero = 0, id;
	struct all_orders *all = bpf_map_lookup_elem(&order, &zero);

	if (!w || !all || !w->scan.count)
		return 0;
	id = all->at[(w->scan.at + hash8(fold_address(w->family, w->daddr)) % w->scan.count) & (LIMIT_ORDER - 1)];
	return usable_id(id) ? id : 0;
}
