/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The hash table of connections: buckets of a cache line, whose references lead to slots. Slots hold what is compared, so that a
 * packet of a known connection reads two cache lines: its bucket and its slot.
 *
 * No locks. A reference is put into a free place as tentative, then whoever put it there looks for rivals with the same key, and makes
 * it final when there is none: of two CPUs that make the same connection each sees the other's reference or is seen. A tentative
 * reference gives way to a final one and to tentative ones before it, which take it out. A reference that finds its bucket full goes
 * to one of the next; `spilled` of its own bucket says that there are such.
 */
#pragma once

#include "work.h"

/* Buckets that a reference may lie in. */
#define PROBES 8

#define REF_REPLY (1ULL << REF_REPLY_SHIFT)
#define REF_TENTATIVE (1ULL << REF_TENTATIVE_SHIFT)

INLINE __u32 ctl_phase(__u64 ctl)
{
	return ctl & 0xff;
}
INLINE __u32 ctl_state(__u64 ctl)
{
	return (ctl >> CTL_STATE_SHIFT) & 0xff;
}
INLINE __u32 ctl_flags(__u64 ctl)
{
	return (ctl >> CTL_FLAGS_SHIFT) & 0xffff;
}
INLINE __u32 ctl_generation(__u64 ctl)
{
	return ctl >> CTL_GENERATION_SHIFT;
}
INLINE __u64 ctl_make(__u32 generation, __u32 flags, __u32 state, __u32 phase)
{
	return ((__u64)generation << CTL_GENERATION_SHIFT) | ((__u64)(flags & 0xffff) << CTL_FLAGS_SHIFT) |
	       (state << CTL_STATE_SHIFT) | phase;
}

/* What of a control word makes a hashed connection this one. */
#define CTL_WHO                                                                                                        \
	((~0ULL << CTL_GENERATION_SHIFT) | ((__u64)CONN_FLAG_HASHED << CTL_FLAGS_SHIFT) | (0xffULL << CTL_PHASE_SHIFT))

/* --- ends of connections ------------------------------------------------------------------------------------------------- */

/* A connection's address: END is client, virtual, dest_address or local. IPv4 leaves the second cache line alone. */
#define GET_END(TO, C, END, FAMILY) join_address((TO), (C)->END, (C)->END##_more, (FAMILY))
#define SET_END(C, END, FROM, FAMILY)                                                                                  \
	do {                                                                                                           \
		(C)->END = (FROM)[0];                                                                                  \
		if ((FAMILY) == 6)                                                                                     \
			copy_more((C)->END##_more, (FROM) + 1);                                                        \
	} while (0)
#define IS_END(C, END, ADDRESS, FAMILY)                                                                                \
	((C)->END == (ADDRESS)[0] && ((FAMILY) == 4 || same_more((C)->END##_more, (ADDRESS) + 1)))

INLINE void copy_more(__be32 *to, const __be32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

INLINE int same_more(const __be32 *a, const __be32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

INLINE void join_address(__be32 *to, __be32 first, const __be32 *more, __u32 family)
{
	to[0] = first;
	to[1] = to[2] = to[3] = 0;
	if (family == 6)
		copy_more(to + 1, more);
}

/* Whether replies have a key of their own, because they differ from reversed requests: NAT and full-NAT. */
INLINE int has_reply_key(__u32 flags)
{
	__u32 method = flags & CONN_FLAG_METHOD_MASK;

	return !(flags & (CONN_FLAG_TEMPLATE | CONN_FLAG_NO_CLIENT_PORT)) &&
	       (method == METHOD_NAT || method == METHOD_FULLNAT);
}

INLINE int has_requests_key(const struct conn *c, __u32 flags, const struct key *k)
{
	return c->client_port == k->source_port && c->virtual_port == k->target_port &&
	       !(flags & CONN_FLAG_TEMPLATE) == !k->kind && IS_END(c, client, k->source, k->family) &&
	       IS_END(c, virtual, k->target, k->family);
}

INLINE int has_replies_key(const struct conn *c, __u32 flags, const struct key *k)
{
	if (c->dest_port != k->source_port || k->kind || !has_reply_key(flags) ||
	    !IS_END(c, dest_address, k->source, k->family))
		return 0;
	if ((flags & CONN_FLAG_METHOD_MASK) == METHOD_FULLNAT)
		return c->local_port == k->target_port && IS_END(c, local, k->target, k->family);
	return c->client_port == k->target_port && IS_END(c, client, k->target, k->family);
}

/* Whether a reference leads to a live connection with this key. */
INLINE int leads_to(__u64 ref, const struct key *k)
{
	__u32 slot = ref, flags;
	struct conn *c = bpf_map_lookup_elem(&slab, &slot);
	__u64 ctl;

	if (!c)
		return 0;
	ctl = READ_ONCE(c->ctl);
	flags = ctl_flags(ctl);
	if (ctl_phase(ctl) != PHASE_LIVE || !(flags & CONN_FLAG_HASHED) || c->family != k->family ||
	    c->protocol != k->protocol)
		return 0;
	return ref & REF_REPLY ? has_replies_key(c, flags, k) : has_requests_key(c, flags, k);
}

/* --- hash ------------------------------------------------------------------------------------------------------------------ */

INLINE __u64 mix(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

/* Low bits choose the bucket, high ones are the tag. The seed keeps strangers from filling one bucket. */
INLINE __u64 hash_of(const struct key *k, const struct config *g)
{
	__u64 h = g->seed[0], ports = k->source_port | ((__u32)k->target_port << 16);

	if (k->family == 6) {
		h = mix(h, k->source[1] | ((__u64)k->target[1] << 32));
		h = mix(h, k->source[2] | ((__u64)k->target[2] << 32));
		h = mix(h, k->source[3] | ((__u64)k->target[3] << 32));
	}
	h = mix(h, k->source[0] | ((__u64)k->target[0] << 32));
	h = mix(h ^ g->seed[1], ports | ((__u64)(k->protocol | (k->kind << 8)) << 32));
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ (h >> 32);
}

INLINE __u64 tag_of(__u64 hash)
{
	return hash >> REF_TAG_SHIFT << REF_TAG_SHIFT;
}

/* The bucket of a hash, or one of the next. Its parameters are few: what is kept over a call takes room on the stack. */
INLINE struct bucket *bucket_of(__u64 hash, __u32 probe)
{
	struct config *g = the_config();
	__u32 at;

	if (!g)
		return 0;
	at = (hash + probe) & g->bucket_mask;
	return bpf_map_lookup_elem(&buckets, &at);
}

/* --- looking up -------------------------------------------------------------------------------------------------------------- */

/* leads_to() where speed is not what counts. */
SHARED int is_same(__u64 ref, const struct key *k)
{
	return k && leads_to(ref, k);
}

/* The reference of a key that found its own bucket full, 0 = none. */
SHARED __u64 find_spilled(const struct key *k, __u64 hash)
{
	struct bucket *b;
	__u64 ref;

	for (__u32 probe = 1; probe < PROBES; probe++) {
		b = bucket_of(hash, probe);
		if (!b)
			return 0;
#pragma clang loop unroll(disable)
		for (__u32 i = 0; i < LIMIT_REFS; i++) {
			ref = READ_ONCE(b->refs[i]);
			if (tag_of(ref) == tag_of(hash) && is_same(ref, k))
				return ref;
		}
	}
	return 0;
}

/* The reference of a key, 0 = none. */
SHARED __u64 find_ref(const struct key *k)
{
	struct config *g = the_config();
	__u64 hash, tag, ref;
	struct bucket *b;

	if (!k || !g)
		return 0;
	hash = hash_of(k, g);
	tag = tag_of(hash);
	b = bucket_of(hash, 0);
	if (!b)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < LIMIT_REFS; i++) {
		ref = READ_ONCE(b->refs[i]);
		if (tag_of(ref) == tag && leads_to(ref, k))
			return ref;
	}
	return READ_ONCE(b->spilled) ? find_spilled(k, hash) : 0;
}

/* --- taking out --------------------------------------------------------------------------------------------------------------- */

/* A place was cleared: its own bucket may have nothing elsewhere any more. */
INLINE void unspill(__u64 hash, __u32 probe)
{
	struct bucket *home = probe ? bucket_of(hash, 0) : (struct bucket *)0;

	if (home)
		SUB(&home->spilled, 1);
}

/* Makes one reference another, 0 to take it out; 1 if it was there. */
SHARED int exchange_ref(__u64 hash, __u64 from, __u64 to)
{
	struct bucket *b;

	for (__u32 probe = 0; probe < PROBES; probe++) {
		b = bucket_of(hash, probe);
		if (!b)
			return 0;
#pragma clang loop unroll(disable)
		for (__u32 i = 0; i < LIMIT_REFS; i++) {
			if (READ_ONCE(b->refs[i]) != from || CAS(&b->refs[i], from, to) != from)
				continue;
			if (!to)
				unspill(hash, probe);
			return 1;
		}
		if (!probe && !READ_ONCE(b->spilled))
			return 0;
	}
	return 0;
}

INLINE void remove_key(const struct key *k, __u64 ref)
{
	struct config *g = the_config();
	__u64 hash;

	if (!g)
		return;
	hash = hash_of(k, g);
	exchange_ref(hash, ref | tag_of(hash), 0);
}

/* --- putting in ---------------------------------------------------------------------------------------------------------------- */

/* What becomes of a key that is put in. */
enum { KEY_IN, KEY_TAKEN, KEY_NO_ROOM };
/* How: another connection's replies with the same key give way, as the newest gets them; what comes is behind the own place. */
#define REPLACES 1
#define BEHIND 2

/* Puts a reference into a free place; 0 = there is none. */
SHARED int occupy(__u64 hash, __u64 ref)
{
	struct bucket *b, *home = bucket_of(hash, 0);

	if (!home)
		return 0;
	for (__u32 probe = 0; probe < PROBES; probe++) {
		if (probe == 1)
			ADD(&home->spilled, 1);
		b = bucket_of(hash, probe);
		if (!b)
			break;
#pragma clang loop unroll(disable)
		for (__u32 i = 0; i < LIMIT_REFS; i++) {
			if (!READ_ONCE(b->refs[i]) && !CAS(&b->refs[i], 0, ref))
				return 1;
		}
	}
	SUB(&home->spilled, 1);
	return 0;
}

/* Deals with references of the same key as the tentative `own`: KEY_TAKEN when own has to go. */
SHARED int outdo(const struct key *k, __u64 hash, __u64 own, __u32 how)
{
	struct bucket *b;
	__u64 ref;

	if (!k)
		return KEY_TAKEN;
	for (__u32 probe = 0; probe < PROBES; probe++) {
		b = bucket_of(hash, probe);
		if (!b)
			return KEY_TAKEN;
#pragma clang loop unroll(disable)
		for (__u32 i = 0; i < LIMIT_REFS; i++) {
			ref = READ_ONCE(b->refs[i]);
			if (ref == own) {
				how |= BEHIND;
				continue;
			}
			if (tag_of(ref) != tag_of(own) || !is_same(ref, k))
				continue;
			if (!(ref & REF_TENTATIVE ? how & BEHIND : (how & REPLACES) && (ref & REF_REPLY)))
				return KEY_TAKEN;
			if (CAS(&b->refs[i], ref, 0) == ref)
				unspill(hash, probe);
			else if (ref & REF_TENTATIVE)
				return KEY_TAKEN; /* It became final. */
		}
		if (!probe && !READ_ONCE(b->spilled))
			return KEY_IN;
	}
	return KEY_IN;
}

/* Puts the key of a connection in: KEY_*. `ref` is slot and direction, `ctl` what makes it hashed and live. */
INLINE int insert_key(const struct key *k, const struct conn *c, __u64 ctl, __u64 ref, __u32 how)
{
	struct config *g = the_config();
	__u64 hash, tentative;
	int lost;

	if (!g)
		return KEY_NO_ROOM;
	hash = hash_of(k, g);
	ref |= tag_of(hash);
	tentative = ref | REF_TENTATIVE;
	if (!occupy(hash, tentative))
		return KEY_NO_ROOM;
	lost = outdo(k, hash, tentative, how) == KEY_TAKEN;
	if (!exchange_ref(hash, tentative, lost ? 0 : ref) || lost)
		return KEY_TAKEN;
	/* Whoever ended the connection meanwhile did not find the reference. */
	if (!((READ_ONCE(c->ctl) ^ ctl) & CTL_WHO))
		return KEY_IN;
	exchange_ref(hash, ref, 0);
	return KEY_TAKEN;
}
