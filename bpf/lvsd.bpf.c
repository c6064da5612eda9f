// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The director as TC programs. See README.md for a packet's way through them.
 */
#include "adoption.h"
#include "fragments.h"
#include "icmp.h"
#include "parse.h"
#include "sweep.h"
#include "synced.h"
#include "traffic.h"
#include "xdp.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

INLINE int is_ip(__u32 protocol)
{
	return protocol == bpf_htons(ETH_IPV4) || protocol == bpf_htons(ETH_IPV6);
}

/* Reads the packet onto the worksheet; 1 when it is none of ours. */
INLINE int read_packet(packet *p, struct work *w, const struct config *g, __u32 l3, __u32 hook)
{
	__u32 protocol = p->protocol;

	/* A tagged frame comes again on its VLAN's interface. */
	if (p->vlan_present || !is_ip(protocol))
		return 1;
	if (!(protocol == bpf_htons(ETH_IPV4) ? g->services4 : g->services6))
		return 1;
	if ((g->settings & SETTING_IGNORE_TUNNELED) && p->tc_index == TUNNELED)
		return 1;
	/* What a bridge port or a promiscuous interface overhears. */
	if (p->pkt_type != 0 && hook != HOOK_EGRESS && hook != HOOK_MARKED && !(g->test & TEST_OUTPUT))
		return 1;
	w->now = now_ns(g);
	w->test = g->test;
	w->hook = hook == HOOK_MARKED ? HOOK_INGRESS : hook;
	w->mark = p->mark;
	w->ifindex = hook == HOOK_MARKED ? p->ingress_ifindex : p->ifindex;
	w->slot = 0;
	w->dest = 0;
	w->service = 0;
	w->parent = 0;
	w->onepacket = 0;
	w->reason = 0;
	w->lport = 0;
	return parse(p, w, l3, protocol);
}

INLINE int is_ported(__u32 protocol)
{
	return protocol == PROTO_TCP || protocol == PROTO_UDP || protocol == PROTO_SCTP;
}

INLINE int incoming(packet *p, __u32 l3, int marked)
{
	struct config *g = the_config();
	struct work *w = the_work();
	struct conn *c = 0;
	__u32 hook = HOOK_INGRESS;

	if (!g || !w)
		return TC_ACT_UNSPEC;
	/* Test runs say lo when nothing else is said. */
	if (marked)
		hook = HOOK_MARKED;
	else if (p->ifindex == LO_IFINDEX && !(g->test & TEST_OUTPUT))
		hook = HOOK_LOOPBACK;
	if (hook == HOOK_LOOPBACK && p->tc_index == INDEX_DONE) {
		p->tc_index = 0;
		p->priority = PRIORITY_DONE;
		return TC_ACT_UNSPEC;
	}
	if (read_packet(p, w, g, l3, hook))
		return TC_ACT_UNSPEC;
	if (w->protocol == (w->family == 4 ? PROTO_ICMP : PROTO_ICMPV6))
		return icmp(p, w);
	if ((w->flow & FLOW_FRAGMENT) && (w->family == 6 || is_ported(w->protocol)) && join_fragment(w))
		return accept(w);
	if (!is_ported(w->protocol))
		return other(p, w);
	if (!(w->flow & FLOW_TRUNCATED))
		c = find_packet(w);
	if (c && (w->flow & FLOW_REPLY))
		return reply(p, w);
	if (c)
		return request_known(p, w, g, c);
	if (g->oneway_dests && !(w->flow & FLOW_TRUNCATED)) {
		if (asks_service_first(w, g))
			w->flow |= FLOW_ASIDE;
		else if (find_passing(w))
			return passing_reply(w);
	}
	return request_new(p, w);
}

SEC("tc")
int lvsd_ingress(packet *p)
{
	return incoming(p, ETH_LENGTH, 0);
}

SEC("tc")
int lvsd_ingress_raw(packet *p)
{
	return incoming(p, 0, 0);
}

/*
 * Egress of lvsd0: copies of packets that netfilter marked, made by nftables' dup just before local delivery. (Marks are set after
 * TC ingress.) The copy's TTL was lowered on the way, which is undone first.
 */
INLINE int restore_ttl(packet *p)
{
	__u8 ttl;
	__u16 check;

	if (p->protocol == bpf_htons(ETH_IPV6)) {
		if (PEEK(p, ETH_LENGTH + 7, &ttl, 1))
			return 1;
		ttl++;
		return POKE(p, ETH_LENGTH + 7, &ttl, 1) != 0;
	}
	if (PEEK(p, ETH_LENGTH + 8, &ttl, 1) || PEEK(p, ETH_LENGTH + 10, &check, 2))
		return 1;
	/* TTL is the upper byte of its word. */
	check = update16(check, bpf_htons(ttl << 8), bpf_htons((ttl + 1) << 8));
	ttl++;
	return POKE(p, ETH_LENGTH + 8, &ttl, 1) || POKE(p, ETH_LENGTH + 10, &check, 2);
}

SEC("tc")
int lvsd_marked(packet *p)
{
	__u64 nobody = 0;
	int verdict;

	/* Nobody looks twice. */
	if (p->priority == PRIORITY_DONE || restore_ttl(p))
		return TC_ACT_SHOT;
	verdict = incoming(p, ETH_LENGTH, 1);
	if (verdict != TC_ACT_UNSPEC)
		return verdict;
	/* For the host itself, or to be cut: back to the stack, which takes what is addressed to lo. */
	p->mark = 0;
	p->tc_index = INDEX_DONE;
	if (POKE(p, 0, &nobody, 6))
		return TC_ACT_SHOT;
	return bpf_redirect(LO_IFINDEX, BPF_F_INGRESS);
}

/* Replies of real servers on the director itself. */
INLINE int outgoing(packet *p, __u32 l3)
{
	struct config *g = the_config();
	struct work *w = the_work();
	int made;

	if (!g || !w || read_packet(p, w, g, l3, HOOK_EGRESS))
		return TC_ACT_UNSPEC;
	if (!is_ported(w->protocol) || (w->flow & (FLOW_TRUNCATED | FLOW_LATER)))
		return TC_ACT_UNSPEC;
	if (find_packet(w))
		return w->flow & FLOW_REPLY ? reply(p, w) : TC_ACT_UNSPEC;
	if (g->oneway_dests && find_passing(w))
		return passing_reply(w);
	if (g->sip_services && w->protocol == PROTO_UDP) {
		made = meet_call(p, w);
		if (made != CALL_NONE)
			return reply_call(p, w, made);
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int lvsd_egress(packet *p)
{
	return outgoing(p, ETH_LENGTH);
}

SEC("tc")
int lvsd_egress_raw(packet *p)
{
	return outgoing(p, 0);
}

SEC("xdp")
int lvsd_xdp(struct xdp_md *x)
{
	return at_xdp(x);
}

/* Prepares what BPF keeps, and starts the timer; by test run, once after loading and after every change of programs. */
SEC("tc")
int lvsd_start(packet *p)
{
	struct state *s = the_state();
	__u32 zero = 0;
	struct ticker *t = bpf_map_lookup_elem(&ticker, &zero);

	(void)p;
	if (!s || !t)
		return 1;
	CAS(&s->fresh, 0, 1);
	CAS(&s->hand, 0, 1);
	if (!s->answer_at_ms)
		s->answer_credit = ANSWER_BURST;
	/* EBUSY: it exists already, and gets the callback of this program. */
	bpf_timer_init(&t->timer, &ticker, CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&t->timer, tick))
		return 2;
	return bpf_timer_start(&t->timer, TICK_NS, 0) ? 3 : 0;
}

/* Puts connections that user space wrote into the hash table; by test run. */
SEC("tc")
int lvsd_adopt(packet *p)
{
	(void)p;
	return adopt_all();
}

/* Takes a master's connections from sync_inbox into the table; by test run. */
SEC("tc")
int lvsd_synced(packet *p)
{
	(void)p;
	bpf_loop(LIMIT_INBOX, take_next, (void *)0, 0);
	return 0;
}

/* Sweeps the whole table once; with a mark, no more than the timer does in a tick. By test run. */
SEC("tc")
int lvsd_sweep(packet *p)
{
	struct config *g = the_config();
	struct state *s = the_state();

	if (!g || !s)
		return 1;
	if (p->mark) {
		work_off(now_ns(g));
		return 0;
	}
	if (defend(now_ns(g))) {
		s->hand = 1;
		sweep_slots(now_ns(g), ~0u, SWEEP_THIN);
	}
	s->hand = 1;
	sweep_slots(now_ns(g), ~0u, SWEEP_CONNECTIONS);
	s->hand = 1;
	sweep_slots(now_ns(g), ~0u, SWEEP_ALL);
	estimator_tick(now_ns(g));
	return 0;
}
