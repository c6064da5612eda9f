/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Templates of SIP calls. Their key holds the Call-ID beside the ends, so they have a map of their own; the other map says by slot what
 * call a template is of, for readers and for whoever removes the key. Services without the SIP engine touch neither.
 */
#pragma once

#include "buckets.h"

MAP_HASH(calls, struct call, struct call_ref, CONNECTIONS);
MAP_HASH(call_ids, __u32, struct call, CONNECTIONS);

/* The call's template is found no more; what call it is of stays known. */
INLINE void unhash_call(__u32 slot)
{
	struct call *call = bpf_map_lookup_elem(&call_ids, &slot);
	struct call_ref *ref = call ? bpf_map_lookup_elem(&calls, call) : (struct call_ref *)0;

	if (ref && ref->slot == slot)
		bpf_map_delete_elem(&calls, call);
}

/* The template in `slot`, whose call is known, is found by it from now on; 0 = it is; the call may have another one. */
INLINE long rehash_call(__u32 slot, __u32 generation)
{
	struct call_ref ref = { .slot = slot, .generation = generation };
	struct call *call = bpf_map_lookup_elem(&call_ids, &slot);

	return call ? bpf_map_update_elem(&calls, call, &ref, BPF_NOEXIST) : 1;
}

/* The template in `slot` is of the call that find_call() looked for in vain. 0 = so it is; another CPU may have made it, or memory be short. */
INLINE long hash_call(__u32 slot, __u32 generation)
{
	/* Map keys and values are not read through a pointer that a function was given, by the kernels of these years. */
	struct work *own = the_work();
	long failed;

	if (!own || bpf_map_update_elem(&call_ids, &slot, &own->call, BPF_ANY))
		return 1;
	failed = rehash_call(slot, generation);
	if (failed)
		bpf_map_delete_elem(&call_ids, &slot);
	return failed;
}

/* The slot of the template of the call whose Call-ID, and whose ends in template_key, are on the worksheet; 0 = none. */
INLINE __u32 find_call(struct work *w)
{
	struct work *own = the_work();
	struct call *call = &w->call;
	struct call_ref *ref;
	struct conn *c;

	copy_address(call->source, w->template_key.source);
	copy_address(call->target, w->template_key.target);
	call->target_port = w->template_key.target_port;
	call->protocol = w->template_key.protocol;
	call->family = w->family;
	ref = own ? bpf_map_lookup_elem(&calls, &own->call) : (struct call_ref *)0;
	c = ref ? conn_at(ref->slot) : (struct conn *)0;
	return c && ctl_generation(READ_ONCE(c->ctl)) == ref->generation ? ref->slot : 0;
}
