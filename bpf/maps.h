/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps, by the names and sizes of MAPS in src/planes/ebpf/layout.ts. User space may change max_entries before loading. */
#pragma once

#include "bpf.h"

#define CONNECTIONS 262144
#define BUCKETS 131072
#define SERVICES 16384
#define DESTS 16384
#define FRAGS 16384

#define MAP_ARRAY(NAME, VALUE, ENTRIES)                                                                                \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                      \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                     \
		__uint(max_entries, ENTRIES);                                                                          \
		__type(key, __u32);                                                                                    \
		__type(value, VALUE);                                                                                  \
	} NAME SEC(".maps")

#define MAP_PERCPU(NAME, VALUE, ENTRIES)                                                                               \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                               \
		__uint(max_entries, ENTRIES);                                                                          \
		__type(key, __u32);                                                                                    \
		__type(value, VALUE);                                                                                  \
	} NAME SEC(".maps")

#define MAP_HASH(NAME, KEY, VALUE, ENTRIES)                                                                            \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__uint(max_entries, ENTRIES);                                                                          \
		__type(key, KEY);                                                                                      \
		__type(value, VALUE);                                                                                  \
	} NAME SEC(".maps")

struct all_loads {
	struct load at[LIMIT_DESTS];
};
struct all_orders {
	__u16 at[LIMIT_ORDER];
};
struct address {
	__be32 word[4];
};

MAP_ARRAY(config, struct config, 1);
MAP_ARRAY(state, struct state, 1);
MAP_ARRAY(trace, struct trace, 1);
MAP_HASH(services, struct service_key, struct service, SERVICES);
MAP_ARRAY(service_state, struct service_state, SERVICES);
MAP_PERCPU(service_stats, struct stats, SERVICES);
MAP_ARRAY(dests, struct dest, DESTS);
MAP_ARRAY(loads, struct all_loads, 1);
MAP_ARRAY(order, struct all_orders, 1);
MAP_ARRAY(locals, struct address, DESTS);
MAP_PERCPU(dest_stats, struct dest_stats, DESTS);
MAP_ARRAY(slab, struct conn, CONNECTIONS);
MAP_ARRAY(buckets, struct bucket, BUCKETS);

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, CONNECTIONS);
	__uint(value_size, sizeof(__u32));
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGS);
	__type(key, struct frag_key);
	__type(value, struct frag);
} frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ticker);
} ticker SEC(".maps");

MAP_ARRAY(sync_inbox, struct sync_entry, LIMIT_INBOX);
MAP_ARRAY(sync_calls, struct call, LIMIT_INBOX);
/* Read by the sync process; bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} sync_events SEC(".maps");

MAP_HASH(servers, struct service_key, __u32, DESTS);
MAP_HASH(sip_services, __u32, struct service_key, SERVICES);

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 1024);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} outlets SEC(".maps");

INLINE struct config *the_config(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&config, &zero);
}

INLINE struct state *the_state(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&state, &zero);
}

INLINE struct conn *conn_at(__u32 slot)
{
	return bpf_map_lookup_elem(&slab, &slot);
}

INLINE struct dest *dest_at(__u32 id)
{
	return bpf_map_lookup_elem(&dests, &id);
}

/* What schedulers see of a destination; the id need not be checked. */
INLINE struct load *load_of(__u32 id)
{
	__u32 zero = 0;
	struct all_loads *all = bpf_map_lookup_elem(&loads, &zero);

	if (!all)
		return 0;
	/* No arithmetic before the check: the compiler knows what the verifier does not. */
	asm volatile("" : "+r"(all));
	return &all->at[id & (LIMIT_DESTS - 1)];
}
