/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Generated from src/planes/ebpf/layout.ts by `npm run build:bpf`. Do not edit. */
#pragma once

#define SCHEDULER_NONE 0
#define SCHEDULER_RR 1
#define SCHEDULER_WRR 2
#define SCHEDULER_LC 3
#define SCHEDULER_WLC 4
#define SCHEDULER_SED 5
#define SCHEDULER_NQ 6
#define SCHEDULER_FO 7
#define SCHEDULER_OVF 8
#define SCHEDULER_SH 9
#define SCHEDULER_DH 10
#define SCHEDULER_MH 11
#define SCHEDULER_LBLC 12
#define SCHEDULER_LBLCR 13
#define SCHEDULER_TWOS 14
#define SERVICE_FLAG_PERSISTENT 1
#define SERVICE_FLAG_ONE_PACKET 2
#define SERVICE_FLAG_SCHED_FALLBACK 8
#define SERVICE_FLAG_SCHED_PORT 16
#define SERVICE_FLAG_SIP 32
#define METHOD_NAT 0
#define METHOD_LOCAL 1
#define METHOD_TUN 2
#define METHOD_DR 3
#define METHOD_BYPASS 4
#define METHOD_FULLNAT 5
#define DEST_FLAG_AVAILABLE 1
#define DEST_FLAG_LOCAL 2
#define TUNNEL_IPIP 0
#define TUNNEL_GUE 1
#define TUNNEL_GRE 2
#define TUNNEL_FLAG_CSUM 1
#define TUNNEL_FLAG_REMCSUM 2
#define CTL_PHASE_SHIFT 0
#define CTL_STATE_SHIFT 8
#define CTL_FLAGS_SHIFT 16
#define CTL_GENERATION_SHIFT 32
#define PHASE_FREE 0
#define PHASE_LIVE 1
#define PHASE_DYING 2
#define CONN_FLAG_METHOD_MASK 7
#define CONN_FLAG_SYNC 32
#define CONN_FLAG_HASHED 64
#define CONN_FLAG_NO_OUTPUT 128
#define CONN_FLAG_INACTIVE 256
#define CONN_FLAG_NO_CLIENT_PORT 2048
#define CONN_FLAG_TEMPLATE 4096
#define CONN_FLAG_ONE_PACKET 8192
#define CONN_FLAG_WATCHED 16384
#define CONN_MARK_SERVER_ISN 1
#define CONN_MARK_FWMARK 2
#define CONN_MARK_ADOPT 4
#define CONN_MARK_CALL 16
#define CONN_MARK_PASSIVE 32
#define CONN_MARK_FORGET 64
#define REF_REPLY_SHIFT 32
#define REF_TENTATIVE_SHIFT 33
#define REF_TAG_SHIFT 34
#define SETTING_SLOPPY_TCP 1
#define SETTING_SLOPPY_SCTP 2
#define SETTING_EXPIRE_NODEST_CONN 4
#define SETTING_EXPIRE_QUIESCENT_TEMPLATE 8
#define SETTING_NAT_ICMP_SEND 16
#define SETTING_CACHE_BYPASS 32
#define SETTING_SCHEDULE_ICMP 64
#define SETTING_PMTU_DISC 128
#define SETTING_FULLNAT_TOA 256
#define SETTING_KEEP_ROUTE 512
#define SETTING_IGNORE_TUNNELED 1024
#define SETTING_RUN_ESTIMATION 2048
#define DEFENCE_PACKET_SHIFT 2
#define DEFENCE_SECURE_SHIFT 4
#define DEFENCE_MODE 3
#define DEFENCE_AUTOMATIC 64
#define DEFENCE_DROP_ENTRY 1
#define DEFENCE_DROP_PACKET 2
#define DEFENCE_SECURE_TCP 4
#define TEST_CLOCK 1
#define TEST_OUTPUT 2
#define TEST_RANDOM 4
#define TEST_MEMORY 8
#define TEST_THOROUGH 16
#define VERDICT_NONE 0
#define VERDICT_ACCEPT 1
#define VERDICT_LOCAL 2
#define VERDICT_SEND 3
#define VERDICT_DROP 4
#define VERDICT_ANSWER 5
#define DROP_NONE 0
#define DROP_TABLE_FULL 1
#define DROP_ORPHAN 2
#define DROP_DEFENCE 3
#define DROP_REFUSED 4
#define DROP_NO_ROUTE 5
#define DROP_TOO_BIG 6
#define DROP_TTL 7
#define DROP_NO_PORT 8
#define DROP_MALFORMED 9
#define DROP_FAILED 10
#define DROP_BOUNDARY 11
#define DROP_AWAITED 12
#define SYNC_OUTCOME_NONE 0
#define SYNC_OUTCOME_WAITS 1
#define SYNC_OUTCOME_MADE 2
#define SYNC_OUTCOME_UPDATED 3
#define SYNC_OUTCOME_IGNORED 4
#define SYNC_OUTCOME_FAILED 5
#define SYNC_OUTCOME_WAITS_NEW 6
#define SYNC_MARK_SEQUENCE 1
#define SYNC_MARK_SERVER_ISN 2
#define SYNC_MARK_CALL 4
#define LIMIT_DESTS 65536
#define LIMIT_ORDER 131072
#define LIMIT_SCAN 16
#define LIMIT_DROPS 16
#define LIMIT_INBOX 256
#define LIMIT_TABLE 4096
#define LIMIT_MEMBERS 32
#define LIMIT_REFS 7
#define LIMIT_CALL 256
#define HOP_NONE 0
#define HOP_NEIGHBOUR 1
#define HOP_RESOLVE 2
#define HOP_LOCAL 3
#define KIND_PACKET 0
#define KIND_TEMPLATE 1

/* What names a virtual service */
struct service_key {
	__be32 address[4]; /* VIP; of fwmark services the first word is the mark, host order */
	__be16 port; /* 0 = any port, and fwmark services */
	__u8 protocol; /* IP protocol; 0 for fwmark services */
	__u8 family; /* 4 or 6; | 0x80 for fwmark services */
};
_Static_assert(sizeof(struct service_key) == 20, "service_key");
_Static_assert(__builtin_offsetof(struct service_key, address) == 0, "service_key.address");
_Static_assert(__builtin_offsetof(struct service_key, port) == 16, "service_key.port");
_Static_assert(__builtin_offsetof(struct service_key, protocol) == 18, "service_key.protocol");
_Static_assert(__builtin_offsetof(struct service_key, family) == 19, "service_key.family");

/* A virtual service; one update replaces it as a whole */
struct service {
	__u32 id; /* index of service_state and service_stats, 1.. */
	__u32 scheduler; /* SCHEDULER_* */
	__u32 flags; /* SERVICE_FLAG_* */
	__u32 timeout_ms; /* persistence timeout */
	__be32 mask[4]; /* persistence netmask */
	__u32 order_at; /* first entry of its run in order */
	__u32 order_count; /* destinations in the run, newest first */
	__u32 wrr_step; /* wrr: greatest common divisor of the weights, 1 if none */
	__u32 wrr_top; /* wrr: greatest weight less (step - 1); 0 = all weights 0 */
	__u32 fwmark; /* 0 unless a fwmark service */
	__be16 port; /* as in the key */
	__u8 protocol; /* as in the key; 6 for fwmark services */
	__u8 family; /* 4 or 6 */
	__u32 local_at; /* full-NAT: first entry of its run in locals */
	__u32 local_count; /* full-NAT: local addresses, 0 = dest.source */
};
_Static_assert(sizeof(struct service) == 64, "service");
_Static_assert(__builtin_offsetof(struct service, id) == 0, "service.id");
_Static_assert(__builtin_offsetof(struct service, scheduler) == 4, "service.scheduler");
_Static_assert(__builtin_offsetof(struct service, flags) == 8, "service.flags");
_Static_assert(__builtin_offsetof(struct service, timeout_ms) == 12, "service.timeout_ms");
_Static_assert(__builtin_offsetof(struct service, mask) == 16, "service.mask");
_Static_assert(__builtin_offsetof(struct service, order_at) == 32, "service.order_at");
_Static_assert(__builtin_offsetof(struct service, order_count) == 36, "service.order_count");
_Static_assert(__builtin_offsetof(struct service, wrr_step) == 40, "service.wrr_step");
_Static_assert(__builtin_offsetof(struct service, wrr_top) == 44, "service.wrr_top");
_Static_assert(__builtin_offsetof(struct service, fwmark) == 48, "service.fwmark");
_Static_assert(__builtin_offsetof(struct service, port) == 52, "service.port");
_Static_assert(__builtin_offsetof(struct service, protocol) == 54, "service.protocol");
_Static_assert(__builtin_offsetof(struct service, family) == 55, "service.family");
_Static_assert(__builtin_offsetof(struct service, local_at) == 56, "service.local_at");
_Static_assert(__builtin_offsetof(struct service, local_count) == 60, "service.local_count");

/* What scheduling leaves behind; user space adjusts it with the list */
struct service_state {
	__s32 position; /* rr, wrr: place of the last choice in the list, -1 = before the first */
	__u32 level; /* wrr: current weight */
	__u32 local_turn; /* full-NAT: local addresses used so far */
	__u32 era; /* lblc, lblcr: counts up when what was remembered is to be forgotten, 16 bits */
	__u32 flags; /* user space: service.flags */
	__u32 spare; /* 0 */
};
_Static_assert(sizeof(struct service_state) == 24, "service_state");
_Static_assert(__builtin_offsetof(struct service_state, position) == 0, "service_state.position");
_Static_assert(__builtin_offsetof(struct service_state, level) == 4, "service_state.level");
_Static_assert(__builtin_offsetof(struct service_state, local_turn) == 8, "service_state.local_turn");
_Static_assert(__builtin_offsetof(struct service_state, era) == 12, "service_state.era");
_Static_assert(__builtin_offsetof(struct service_state, flags) == 16, "service_state.flags");
_Static_assert(__builtin_offsetof(struct service_state, spare) == 20, "service_state.spare");

/* A real server; indexed by destination id */
struct dest {
	__be32 address[4]; /* RIP */
	__be32 source[4]; /* source address that routing prefers towards it: TUN outer source, full-NAT default */
	__be16 port; /* 0 = port of the packet */
	__be16 tunnel_port; /* GUE */
	__u8 family; /* 4 or 6 */
	__u8 method; /* METHOD_* */
	__u8 tunnel; /* TUNNEL_* */
	__u8 tunnel_flags; /* TUNNEL_FLAG_* */
	__u32 upper; /* overload threshold, 0 = none */
	__u32 lower; /* threshold in force below which the overload ends (upper - upper / 4 if not given) */
	__u32 service; /* id of its service */
	__u32 flags; /* DEST_FLAG_* */
	__u32 persistent; /* BPF: live templates */
	__u32 path_mtu; /* BPF: learned from ICMP about tunnel packets, 0 = none */
	__u64 path_mtu_until; /* BPF: ns */
};
_Static_assert(sizeof(struct dest) == 72, "dest");
_Static_assert(__builtin_offsetof(struct dest, address) == 0, "dest.address");
_Static_assert(__builtin_offsetof(struct dest, source) == 16, "dest.source");
_Static_assert(__builtin_offsetof(struct dest, port) == 32, "dest.port");
_Static_assert(__builtin_offsetof(struct dest, tunnel_port) == 34, "dest.tunnel_port");
_Static_assert(__builtin_offsetof(struct dest, family) == 36, "dest.family");
_Static_assert(__builtin_offsetof(struct dest, method) == 37, "dest.method");
_Static_assert(__builtin_offsetof(struct dest, tunnel) == 38, "dest.tunnel");
_Static_assert(__builtin_offsetof(struct dest, tunnel_flags) == 39, "dest.tunnel_flags");
_Static_assert(__builtin_offsetof(struct dest, upper) == 40, "dest.upper");
_Static_assert(__builtin_offsetof(struct dest, lower) == 44, "dest.lower");
_Static_assert(__builtin_offsetof(struct dest, service) == 48, "dest.service");
_Static_assert(__builtin_offsetof(struct dest, flags) == 52, "dest.flags");
_Static_assert(__builtin_offsetof(struct dest, persistent) == 56, "dest.persistent");
_Static_assert(__builtin_offsetof(struct dest, path_mtu) == 60, "dest.path_mtu");
_Static_assert(__builtin_offsetof(struct dest, path_mtu_until) == 64, "dest.path_mtu_until");

/* What schedulers look at; entry of loads, indexed by destination id */
struct load {
	__u32 weight; /* user space: 0 = quiesced */
	__u32 active; /* BPF: active connections */
	__u32 inactive; /* BPF: the other connections */
	__u32 overloaded; /* BPF, and user space when thresholds change: 1 = over the upper threshold */
};
_Static_assert(sizeof(struct load) == 16, "load");
_Static_assert(__builtin_offsetof(struct load, weight) == 0, "load.weight");
_Static_assert(__builtin_offsetof(struct load, active) == 4, "load.active");
_Static_assert(__builtin_offsetof(struct load, inactive) == 8, "load.inactive");
_Static_assert(__builtin_offsetof(struct load, overloaded) == 12, "load.overloaded");

/* Per CPU: counters of a destination and its next hop */
struct dest_stats {
	__u64 conns; /* connections scheduled */
	__u64 in_packets; /* requests */
	__u64 out_packets; /* replies */
	__u64 in_bytes; /* IP packet lengths */
	__u64 out_bytes; /* IP packet lengths */
	__u64 hop_until; /* the next hop is good until then, ns */
	__u32 hop_ifindex; /* 0 = none */
	__u32 hop_mtu; /* bytes */
	__u8 hop_target[6]; /* neighbour */
	__u8 hop_source[6]; /* own */
	__u32 hop_kind; /* HOP_* */
};
_Static_assert(sizeof(struct dest_stats) == 72, "dest_stats");
_Static_assert(__builtin_offsetof(struct dest_stats, conns) == 0, "dest_stats.conns");
_Static_assert(__builtin_offsetof(struct dest_stats, in_packets) == 8, "dest_stats.in_packets");
_Static_assert(__builtin_offsetof(struct dest_stats, out_packets) == 16, "dest_stats.out_packets");
_Static_assert(__builtin_offsetof(struct dest_stats, in_bytes) == 24, "dest_stats.in_bytes");
_Static_assert(__builtin_offsetof(struct dest_stats, out_bytes) == 32, "dest_stats.out_bytes");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_until) == 40, "dest_stats.hop_until");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_ifindex) == 48, "dest_stats.hop_ifindex");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_mtu) == 52, "dest_stats.hop_mtu");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_target) == 56, "dest_stats.hop_target");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_source) == 62, "dest_stats.hop_source");
_Static_assert(__builtin_offsetof(struct dest_stats, hop_kind) == 68, "dest_stats.hop_kind");

/* Per CPU: counters of a service; index 0 is the total */
struct stats {
	__u64 conns; /* connections scheduled */
	__u64 in_packets; /* requests */
	__u64 out_packets; /* replies */
	__u64 in_bytes; /* IP packet lengths */
	__u64 out_bytes; /* IP packet lengths */
};
_Static_assert(sizeof(struct stats) == 40, "stats");
_Static_assert(__builtin_offsetof(struct stats, conns) == 0, "stats.conns");
_Static_assert(__builtin_offsetof(struct stats, in_packets) == 8, "stats.in_packets");
_Static_assert(__builtin_offsetof(struct stats, out_packets) == 16, "stats.out_packets");
_Static_assert(__builtin_offsetof(struct stats, in_bytes) == 24, "stats.in_bytes");
_Static_assert(__builtin_offsetof(struct stats, out_bytes) == 32, "stats.out_bytes");

/* A connection or template; slot of slab. Two cache lines; packets of IPv4 connections need the first one only */
struct conn {
	__u64 ctl; /* generation, flags, state, phase: CTL_*; changed by compare-and-swap */
	__u64 expires; /* ns */
	__u32 dest; /* destination id, 0 = none */
	__u32 timeout_ms; /* what a packet sets expires to */
	__u32 in_packets; /* requests */
	__u32 parent; /* slot of its template, 0 = none */
	__u8 protocol; /* IP protocol; 0 for templates of fwmark services */
	__u8 family; /* 4 or 6, client's side */
	__u8 dest_family; /* 4 or 6 */
	__u8 marks; /* CONN_MARK_* */
	__be16 client_port; /* 0 for templates, and with noClientPort */
	__be16 virtual_port; /* 65535: template that must not match any more */
	__be16 dest_port; /* RIP's side */
	__be16 local_port; /* full-NAT */
	__u32 service; /* id of the service that scheduled it */
	__be32 client; /* CIP: first word */
	__be32 virtual; /* VIP: first word; the mark, host order, for templates of fwmark services */
	__be32 dest_address; /* RIP: first word */
	__be32 local; /* full-NAT: LIP: first word */
	__be32 client_more[3]; /* the other words, where it is IPv6 */
	__be32 virtual_more[3]; /* the other words, where it is IPv6 */
	__be32 dest_address_more[3]; /* the other words, where it is IPv6 */
	__be32 local_more[3]; /* the other words, where it is IPv6 */
	__u32 children; /* connections under this template */
	__u32 fwmark; /* mark of the first packet; 0 unless CONN_MARK_FWMARK */
	__u32 seq_delta; /* full-NAT: new less old initial sequence number; FTP: see bpf/sequence.h */
	__u32 server_isn; /* full-NAT: the server's initial sequence number + 1; FTP: see there */
};
_Static_assert(sizeof(struct conn) == 128, "conn");
_Static_assert(__builtin_offsetof(struct conn, ctl) == 0, "conn.ctl");
_Static_assert(__builtin_offsetof(struct conn, expires) == 8, "conn.expires");
_Static_assert(__builtin_offsetof(struct conn, dest) == 16, "conn.dest");
_Static_assert(__builtin_offsetof(struct conn, timeout_ms) == 20, "conn.timeout_ms");
_Static_assert(__builtin_offsetof(struct conn, in_packets) == 24, "conn.in_packets");
_Static_assert(__builtin_offsetof(struct conn, parent) == 28, "conn.parent");
_Static_assert(__builtin_offsetof(struct conn, protocol) == 32, "conn.protocol");
_Static_assert(__builtin_offsetof(struct conn, family) == 33, "conn.family");
_Static_assert(__builtin_offsetof(struct conn, dest_family) == 34, "conn.dest_family");
_Static_assert(__builtin_offsetof(struct conn, marks) == 35, "conn.marks");
_Static_assert(__builtin_offsetof(struct conn, client_port) == 36, "conn.client_port");
_Static_assert(__builtin_offsetof(struct conn, virtual_port) == 38, "conn.virtual_port");
_Static_assert(__builtin_offsetof(struct conn, dest_port) == 40, "conn.dest_port");
_Static_assert(__builtin_offsetof(struct conn, local_port) == 42, "conn.local_port");
_Static_assert(__builtin_offsetof(struct conn, service) == 44, "conn.service");
_Static_assert(__builtin_offsetof(struct conn, client) == 48, "conn.client");
_Static_assert(__builtin_offsetof(struct conn, virtual) == 52, "conn.virtual");
_Static_assert(__builtin_offsetof(struct conn, dest_address) == 56, "conn.dest_address");
_Static_assert(__builtin_offsetof(struct conn, local) == 60, "conn.local");
_Static_assert(__builtin_offsetof(struct conn, client_more) == 64, "conn.client_more");
_Static_assert(__builtin_offsetof(struct conn, virtual_more) == 76, "conn.virtual_more");
_Static_assert(__builtin_offsetof(struct conn, dest_address_more) == 88, "conn.dest_address_more");
_Static_assert(__builtin_offsetof(struct conn, local_more) == 100, "conn.local_more");
_Static_assert(__builtin_offsetof(struct conn, children) == 112, "conn.children");
_Static_assert(__builtin_offsetof(struct conn, fwmark) == 116, "conn.fwmark");
_Static_assert(__builtin_offsetof(struct conn, seq_delta) == 120, "conn.seq_delta");
_Static_assert(__builtin_offsetof(struct conn, server_isn) == 124, "conn.server_isn");

/* Two ends of packets: what connections are looked for by */
struct key {
	__be32 source[4]; /* client, or server of a NAT reply */
	__be32 target[4]; /* VIP, or client (or LIP) of a NAT reply; the mark for templates of fwmark services */
	__be16 source_port; /*  */
	__be16 target_port; /*  */
	__u8 protocol; /*  */
	__u8 kind; /* KIND_* */
	__u16 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct key) == 40, "key");
_Static_assert(__builtin_offsetof(struct key, source) == 0, "key.source");
_Static_assert(__builtin_offsetof(struct key, target) == 16, "key.target");
_Static_assert(__builtin_offsetof(struct key, source_port) == 32, "key.source_port");
_Static_assert(__builtin_offsetof(struct key, target_port) == 34, "key.target_port");
_Static_assert(__builtin_offsetof(struct key, protocol) == 36, "key.protocol");
_Static_assert(__builtin_offsetof(struct key, kind) == 37, "key.kind");
_Static_assert(__builtin_offsetof(struct key, family) == 38, "key.family");

/* References of the hash table of connections; a cache line */
struct bucket {
	__u64 spilled; /* references that belong here and found room further on only */
	__u64 refs[7]; /* REF_*; 0 = free; changed by compare-and-swap */
};
_Static_assert(sizeof(struct bucket) == 64, "bucket");
_Static_assert(__builtin_offsetof(struct bucket, spilled) == 0, "bucket.spilled");
_Static_assert(__builtin_offsetof(struct bucket, refs) == 8, "bucket.refs");

/* What a template of a SIP service is for; key of calls, and value of call_ids */
struct call {
	__be32 source[4]; /* masked client */
	__be32 target[4]; /* VIP; the mark for templates of fwmark services */
	__be16 target_port; /*  */
	__u8 protocol; /*  */
	__u8 family; /* 4 or 6 */
	__u32 length; /* bytes of the Call-ID */
	__u8 id[256]; /* the Call-ID, then 0 */
};
_Static_assert(sizeof(struct call) == 296, "call");
_Static_assert(__builtin_offsetof(struct call, source) == 0, "call.source");
_Static_assert(__builtin_offsetof(struct call, target) == 16, "call.target");
_Static_assert(__builtin_offsetof(struct call, target_port) == 32, "call.target_port");
_Static_assert(__builtin_offsetof(struct call, protocol) == 34, "call.protocol");
_Static_assert(__builtin_offsetof(struct call, family) == 35, "call.family");
_Static_assert(__builtin_offsetof(struct call, length) == 36, "call.length");
_Static_assert(__builtin_offsetof(struct call, id) == 40, "call.id");

/* Value of calls */
struct call_ref {
	__u32 slot; /* of slab */
	__u32 generation; /* of the slot */
};
_Static_assert(sizeof(struct call_ref) == 8, "call_ref");
_Static_assert(__builtin_offsetof(struct call_ref, slot) == 0, "call_ref.slot");
_Static_assert(__builtin_offsetof(struct call_ref, generation) == 4, "call_ref.generation");

/* What fragments of a packet share */
struct frag_key {
	__be32 source[4]; /*  */
	__be32 target[4]; /*  */
	__u32 id; /* IPv4 identification or that of the fragment header */
	__u8 protocol; /* 0 for IPv6 */
	__u8 family; /* 4 or 6 */
	__u16 zero; /* 0 */
};
_Static_assert(sizeof(struct frag_key) == 40, "frag_key");
_Static_assert(__builtin_offsetof(struct frag_key, source) == 0, "frag_key.source");
_Static_assert(__builtin_offsetof(struct frag_key, target) == 16, "frag_key.target");
_Static_assert(__builtin_offsetof(struct frag_key, id) == 32, "frag_key.id");
_Static_assert(__builtin_offsetof(struct frag_key, protocol) == 36, "frag_key.protocol");
_Static_assert(__builtin_offsetof(struct frag_key, family) == 37, "frag_key.family");
_Static_assert(__builtin_offsetof(struct frag_key, zero) == 38, "frag_key.zero");

/* What the first fragment said */
struct frag {
	__u64 until; /* ns */
	__be16 source_port; /*  */
	__be16 target_port; /*  */
	__u8 protocol; /* IPv6: that of the first fragment */
	__u8 cut; /* BPF: the first one is too long for its way, and all go by the stack */
	__u8 zero[2]; /* 0 */
};
_Static_assert(sizeof(struct frag) == 16, "frag");
_Static_assert(__builtin_offsetof(struct frag, until) == 0, "frag.until");
_Static_assert(__builtin_offsetof(struct frag, source_port) == 8, "frag.source_port");
_Static_assert(__builtin_offsetof(struct frag, target_port) == 10, "frag.target_port");
_Static_assert(__builtin_offsetof(struct frag, protocol) == 12, "frag.protocol");
_Static_assert(__builtin_offsetof(struct frag, cut) == 13, "frag.cut");
_Static_assert(__builtin_offsetof(struct frag, zero) == 14, "frag.zero");

/* Written by user space, but for what is marked */
struct config {
	__u64 test_now_ns; /* the time, with TEST_CLOCK */
	__u64 seed[2]; /* random: where connections lie in buckets */
	__u64 bucket_mask; /* entries of buckets (a power of two) - 1 */
	__u32 test; /* TEST_* */
	__u32 settings; /* SETTING_* */
	__u32 conn_reuse_mode; /* as the setting */
	__u32 drop_rate; /* BPF: drop_packet: every n-th new connection, 0 = none */
	__u32 in_force; /* BPF: DEFENCE_*: the defence strategies that are on */
	__u32 slots; /* entries of slab */
	__u32 services4; /* number of IPv4 services: without any the family is left alone */
	__u32 services6; /* number of IPv6 services */
	__u32 mark_services; /* number of fwmark services */
	__u32 ftp_services; /* number of TCP services with port 21 */
	__u32 any_port_services; /* number of services with port 0 */
	__u32 sip_services; /* number of services that are persistent by Call-ID */
	__u32 port_start; /* net.ipv4.ip_unprivileged_port_start */
	__u32 oneway_dests; /* destinations, live or trashed, that are not NAT or full-NAT */
	__u32 stand_back; /* 1: requests are left alone (backup_only while the backup daemon runs) */
	__u32 udp_ms; /* timeout */
	__u32 tcp_ms[16]; /* timeouts by state */
	__u32 sctp_ms[16]; /* timeouts by state */
	__u32 lblc_expiration_s; /* as the setting */
	__u32 lblcr_expiration_s; /* as the setting */
	__u32 est_services; /* estimates: services looked at, the highest id + 1 */
	__u32 est_dests; /* estimates: destinations looked at, the highest id + 1 */
	__u32 defences; /* modes of the defence strategies, DEFENCE_* */
	__u32 amemthresh; /* as the setting */
	__u32 am_droprate; /* as the setting */
	__u32 test_pages; /* pages of memory, with TEST_MEMORY */
	__u32 super_inodes; /* offset of super_block.s_inodes in this kernel */
	__u32 inode_list; /* offset of inode.i_sb_list */
	__u32 inode_mapping; /* offset of inode.i_mapping */
	__u32 mapping_pages; /* offset of address_space.nrpages; 0 = nothing is known about block devices */
	__u64 free_pages_at; /* address of vm_zone_stat, whose first word counts the free pages; 0 = not known */
	__u64 devices_at; /* address of blockdev_superblock */
	__u32 sync_on; /* 1: a master daemon runs, sync_events is read */
	__u32 sync_threshold; /* number of the request from which on a connection is announced */
	__u32 sync_period; /* and again every so many requests, 0 = never */
	__u32 sync_first; /* requests that are told of whatever their number */
	__u32 sync_first_child; /* the same of connections with a template */
	__u32 awaiting; /* 1: connections of another director, or version, are on their way */
};
_Static_assert(sizeof(struct config) == 312, "config");
_Static_assert(__builtin_offsetof(struct config, test_now_ns) == 0, "config.test_now_ns");
_Static_assert(__builtin_offsetof(struct config, seed) == 8, "config.seed");
_Static_assert(__builtin_offsetof(struct config, bucket_mask) == 24, "config.bucket_mask");
_Static_assert(__builtin_offsetof(struct config, test) == 32, "config.test");
_Static_assert(__builtin_offsetof(struct config, settings) == 36, "config.settings");
_Static_assert(__builtin_offsetof(struct config, conn_reuse_mode) == 40, "config.conn_reuse_mode");
_Static_assert(__builtin_offsetof(struct config, drop_rate) == 44, "config.drop_rate");
_Static_assert(__builtin_offsetof(struct config, in_force) == 48, "config.in_force");
_Static_assert(__builtin_offsetof(struct config, slots) == 52, "config.slots");
_Static_assert(__builtin_offsetof(struct config, services4) == 56, "config.services4");
_Static_assert(__builtin_offsetof(struct config, services6) == 60, "config.services6");
_Static_assert(__builtin_offsetof(struct config, mark_services) == 64, "config.mark_services");
_Static_assert(__builtin_offsetof(struct config, ftp_services) == 68, "config.ftp_services");
_Static_assert(__builtin_offsetof(struct config, any_port_services) == 72, "config.any_port_services");
_Static_assert(__builtin_offsetof(struct config, sip_services) == 76, "config.sip_services");
_Static_assert(__builtin_offsetof(struct config, port_start) == 80, "config.port_start");
_Static_assert(__builtin_offsetof(struct config, oneway_dests) == 84, "config.oneway_dests");
_Static_assert(__builtin_offsetof(struct config, stand_back) == 88, "config.stand_back");
_Static_assert(__builtin_offsetof(struct config, udp_ms) == 92, "config.udp_ms");
_Static_assert(__builtin_offsetof(struct config, tcp_ms) == 96, "config.tcp_ms");
_Static_assert(__builtin_offsetof(struct config, sctp_ms) == 160, "config.sctp_ms");
_Static_assert(__builtin_offsetof(struct config, lblc_expiration_s) == 224, "config.lblc_expiration_s");
_Static_assert(__builtin_offsetof(struct config, lblcr_expiration_s) == 228, "config.lblcr_expiration_s");
_Static_assert(__builtin_offsetof(struct config, est_services) == 232, "config.est_services");
_Static_assert(__builtin_offsetof(struct config, est_dests) == 236, "config.est_dests");
_Static_assert(__builtin_offsetof(struct config, defences) == 240, "config.defences");
_Static_assert(__builtin_offsetof(struct config, amemthresh) == 244, "config.amemthresh");
_Static_assert(__builtin_offsetof(struct config, am_droprate) == 248, "config.am_droprate");
_Static_assert(__builtin_offsetof(struct config, test_pages) == 252, "config.test_pages");
_Static_assert(__builtin_offsetof(struct config, super_inodes) == 256, "config.super_inodes");
_Static_assert(__builtin_offsetof(struct config, inode_list) == 260, "config.inode_list");
_Static_assert(__builtin_offsetof(struct config, inode_mapping) == 264, "config.inode_mapping");
_Static_assert(__builtin_offsetof(struct config, mapping_pages) == 268, "config.mapping_pages");
_Static_assert(__builtin_offsetof(struct config, free_pages_at) == 272, "config.free_pages_at");
_Static_assert(__builtin_offsetof(struct config, devices_at) == 280, "config.devices_at");
_Static_assert(__builtin_offsetof(struct config, sync_on) == 288, "config.sync_on");
_Static_assert(__builtin_offsetof(struct config, sync_threshold) == 292, "config.sync_threshold");
_Static_assert(__builtin_offsetof(struct config, sync_period) == 296, "config.sync_period");
_Static_assert(__builtin_offsetof(struct config, sync_first) == 300, "config.sync_first");
_Static_assert(__builtin_offsetof(struct config, sync_first_child) == 304, "config.sync_first_child");
_Static_assert(__builtin_offsetof(struct config, awaiting) == 308, "config.awaiting");

/* Written by BPF */
struct state {
	__u32 fresh; /* slots below were used before; starts at 1 */
	__u32 hand; /* where the sweeper goes on */
	__u32 dropper; /* drop_packet: packets until the next drop */
	__u32 judged; /* config.defences as they were judged last */
	__u32 answer_credit; /* ICMP errors that may be sent now */
	__u32 chance; /* with TEST_RANDOM: what the next random number is made from */
	__u32 waiting; /* FTP data connections whose client port is not known yet */
	__u32 spare; /* 0 */
	__u64 answer_at_ms; /* when answer_credit was right */
	__u64 sweeps; /* rounds of the sweeper */
	__u64 swept; /* connections it ended */
	__u64 ticks; /* of the timer */
	__u32 spared[16]; /* drop_entry: connections still spared, by number of packets */
	__u64 drops[16]; /* packets by DROP_* */
	__u64 defend_at; /* when the memory is looked at again, ns */
	__u32 judged_threshold; /* amemthresh as it was then */
	__u32 judged_rate; /* am_droprate as it was then */
	__u64 sync_lost; /* events that sync_events had no room for */
	__u64 freed; /* 1: slots may wait in free_slots */
};
_Static_assert(sizeof(struct state) == 288, "state");
_Static_assert(__builtin_offsetof(struct state, fresh) == 0, "state.fresh");
_Static_assert(__builtin_offsetof(struct state, hand) == 4, "state.hand");
_Static_assert(__builtin_offsetof(struct state, dropper) == 8, "state.dropper");
_Static_assert(__builtin_offsetof(struct state, judged) == 12, "state.judged");
_Static_assert(__builtin_offsetof(struct state, answer_credit) == 16, "state.answer_credit");
_Static_assert(__builtin_offsetof(struct state, chance) == 20, "state.chance");
_Static_assert(__builtin_offsetof(struct state, waiting) == 24, "state.waiting");
_Static_assert(__builtin_offsetof(struct state, spare) == 28, "state.spare");
_Static_assert(__builtin_offsetof(struct state, answer_at_ms) == 32, "state.answer_at_ms");
_Static_assert(__builtin_offsetof(struct state, sweeps) == 40, "state.sweeps");
_Static_assert(__builtin_offsetof(struct state, swept) == 48, "state.swept");
_Static_assert(__builtin_offsetof(struct state, ticks) == 56, "state.ticks");
_Static_assert(__builtin_offsetof(struct state, spared) == 64, "state.spared");
_Static_assert(__builtin_offsetof(struct state, drops) == 128, "state.drops");
_Static_assert(__builtin_offsetof(struct state, defend_at) == 256, "state.defend_at");
_Static_assert(__builtin_offsetof(struct state, judged_threshold) == 264, "state.judged_threshold");
_Static_assert(__builtin_offsetof(struct state, judged_rate) == 268, "state.judged_rate");
_Static_assert(__builtin_offsetof(struct state, sync_lost) == 272, "state.sync_lost");
_Static_assert(__builtin_offsetof(struct state, freed) == 280, "state.freed");

/* What became of the last packet; written with TEST_OUTPUT only */
struct trace {
	__u32 verdict; /* VERDICT_* */
	__u32 reason; /* DROP_* of a drop */
	__u32 dest; /* destination id, 0 = none */
	__u32 slot; /* connection, 0 = none */
	__u32 hop_family; /* 4, 6 */
	__u32 mtu; /* set by a test before: MTU of every path, 0 = no limit */
	__be32 hop[4]; /* next hop asked for */
	__u32 own; /* set by a test before: 1 = the packet's target is an address of the director */
};
_Static_assert(sizeof(struct trace) == 44, "trace");
_Static_assert(__builtin_offsetof(struct trace, verdict) == 0, "trace.verdict");
_Static_assert(__builtin_offsetof(struct trace, reason) == 4, "trace.reason");
_Static_assert(__builtin_offsetof(struct trace, dest) == 8, "trace.dest");
_Static_assert(__builtin_offsetof(struct trace, slot) == 12, "trace.slot");
_Static_assert(__builtin_offsetof(struct trace, hop_family) == 16, "trace.hop_family");
_Static_assert(__builtin_offsetof(struct trace, mtu) == 20, "trace.mtu");
_Static_assert(__builtin_offsetof(struct trace, hop) == 24, "trace.hop");
_Static_assert(__builtin_offsetof(struct trace, own) == 40, "trace.own");

/* Record of sync_events: a connection that may have to be announced */
struct sync_event {
	__u32 slot; /* of slab */
	__u32 generation; /* of the slot, the low 31 bits */
	__u32 packets; /* its requests so far */
	__u32 spare; /* 0 */
};
_Static_assert(sizeof(struct sync_event) == 16, "sync_event");
_Static_assert(__builtin_offsetof(struct sync_event, slot) == 0, "sync_event.slot");
_Static_assert(__builtin_offsetof(struct sync_event, generation) == 4, "sync_event.generation");
_Static_assert(__builtin_offsetof(struct sync_event, packets) == 8, "sync_event.packets");
_Static_assert(__builtin_offsetof(struct sync_event, spare) == 12, "sync_event.spare");

/* Element of sync_inbox: a connection that a master announced */
struct sync_entry {
	__u32 outcome; /* SYNC_OUTCOME_*: waits from user space, the rest from BPF */
	__u32 flags; /* CONN_FLAG_* */
	__u32 state; /* by protocol */
	__u32 fwmark; /* mark of the first packet */
	__u32 timeout_ms; /*  */
	__u32 packets; /* in_packets that it begins with */
	__u32 service; /* id of the service here, 0 = none */
	__u32 dest; /* destination id, 0 = none */
	__be32 client[4]; /* CIP */
	__be32 virtual[4]; /* VIP; the mark, host order, for templates of fwmark services */
	__be32 dest_address[4]; /* RIP */
	__be32 local[4]; /* full-NAT: LIP */
	__be16 client_port; /*  */
	__be16 virtual_port; /*  */
	__be16 dest_port; /*  */
	__be16 local_port; /* full-NAT */
	__u8 protocol; /*  */
	__u8 family; /* 4 or 6 */
	__u16 spare; /* 0 */
	__u32 marks; /* SYNC_MARK_* */
	__u32 seq_delta; /* as in conn */
	__u32 server_isn; /* as in conn */
};
_Static_assert(sizeof(struct sync_entry) == 120, "sync_entry");
_Static_assert(__builtin_offsetof(struct sync_entry, outcome) == 0, "sync_entry.outcome");
_Static_assert(__builtin_offsetof(struct sync_entry, flags) == 4, "sync_entry.flags");
_Static_assert(__builtin_offsetof(struct sync_entry, state) == 8, "sync_entry.state");
_Static_assert(__builtin_offsetof(struct sync_entry, fwmark) == 12, "sync_entry.fwmark");
_Static_assert(__builtin_offsetof(struct sync_entry, timeout_ms) == 16, "sync_entry.timeout_ms");
_Static_assert(__builtin_offsetof(struct sync_entry, packets) == 20, "sync_entry.packets");
_Static_assert(__builtin_offsetof(struct sync_entry, service) == 24, "sync_entry.service");
_Static_assert(__builtin_offsetof(struct sync_entry, dest) == 28, "sync_entry.dest");
_Static_assert(__builtin_offsetof(struct sync_entry, client) == 32, "sync_entry.client");
_Static_assert(__builtin_offsetof(struct sync_entry, virtual) == 48, "sync_entry.virtual");
_Static_assert(__builtin_offsetof(struct sync_entry, dest_address) == 64, "sync_entry.dest_address");
_Static_assert(__builtin_offsetof(struct sync_entry, local) == 80, "sync_entry.local");
_Static_assert(__builtin_offsetof(struct sync_entry, client_port) == 96, "sync_entry.client_port");
_Static_assert(__builtin_offsetof(struct sync_entry, virtual_port) == 98, "sync_entry.virtual_port");
_Static_assert(__builtin_offsetof(struct sync_entry, dest_port) == 100, "sync_entry.dest_port");
_Static_assert(__builtin_offsetof(struct sync_entry, local_port) == 102, "sync_entry.local_port");
_Static_assert(__builtin_offsetof(struct sync_entry, protocol) == 104, "sync_entry.protocol");
_Static_assert(__builtin_offsetof(struct sync_entry, family) == 105, "sync_entry.family");
_Static_assert(__builtin_offsetof(struct sync_entry, spare) == 106, "sync_entry.spare");
_Static_assert(__builtin_offsetof(struct sync_entry, marks) == 108, "sync_entry.marks");
_Static_assert(__builtin_offsetof(struct sync_entry, seq_delta) == 112, "sync_entry.seq_delta");
_Static_assert(__builtin_offsetof(struct sync_entry, server_isn) == 116, "sync_entry.server_isn");

/* The timer that sweeps */
struct ticker {
	struct bpf_timer timer; /* kernel's */
};
_Static_assert(sizeof(struct ticker) == 16, "ticker");
_Static_assert(__builtin_offsetof(struct ticker, timer) == 0, "ticker.timer");

/* What readers of counters see: connections, packets in and out, bytes in and out */
struct estimate {
	__u64 seen[5]; /* BPF: the counters at the last slot of 2 s */
	__u64 rate[5]; /* BPF: signed fixed point, 10 bits behind the point (bytes 5); user space sets 0 */
	__u64 base[5]; /* user space: what seen was when the counters were zeroed */
};
_Static_assert(sizeof(struct estimate) == 120, "estimate");
_Static_assert(__builtin_offsetof(struct estimate, seen) == 0, "estimate.seen");
_Static_assert(__builtin_offsetof(struct estimate, rate) == 40, "estimate.rate");
_Static_assert(__builtin_offsetof(struct estimate, base) == 80, "estimate.base");

/* Where the estimator is */
struct estimator {
	__u64 round_at; /* when this round of 2 s began, ns */
	__u32 hand; /* entries of this round that are done: services first, then destinations */
	__u32 spare; /* 0 */
};
_Static_assert(sizeof(struct estimator) == 16, "estimator");
_Static_assert(__builtin_offsetof(struct estimator, round_at) == 0, "estimator.round_at");
_Static_assert(__builtin_offsetof(struct estimator, hand) == 8, "estimator.hand");
_Static_assert(__builtin_offsetof(struct estimator, spare) == 12, "estimator.spare");

/* lblc, lblcr: a destination address of packets */
struct locality_key {
	__u32 era; /* service id | service_state.era << 16 */
	__be32 address[4]; /* VIP or, for fwmark services, any */
};
_Static_assert(sizeof(struct locality_key) == 20, "locality_key");
_Static_assert(__builtin_offsetof(struct locality_key, era) == 0, "locality_key.era");
_Static_assert(__builtin_offsetof(struct locality_key, address) == 4, "locality_key.address");

/* lblc, lblcr: what was chosen for an address */
struct locality {
	__u64 last_use; /* ns */
	__u64 last_change; /* lblcr: when a member came or went, ns */
	__u32 count; /* members, lblc 1 */
	__u32 members[32]; /* destination ids, newest first */
	__u32 spare; /* 0 */
};
_Static_assert(sizeof(struct locality) == 152, "locality");
_Static_assert(__builtin_offsetof(struct locality, last_use) == 0, "locality.last_use");
_Static_assert(__builtin_offsetof(struct locality, last_change) == 8, "locality.last_change");
_Static_assert(__builtin_offsetof(struct locality, count) == 16, "locality.count");
_Static_assert(__builtin_offsetof(struct locality, members) == 20, "locality.members");
_Static_assert(__builtin_offsetof(struct locality, spare) == 148, "locality.spare");

#define TCP_ACTIVE_STATES 1038
#define SCTP_ACTIVE_STATES 256

/* Next TCP state by secure << 8 | direction << 6 | event << 4 | state */
static const __u8 TCP_NEXT[512] = {
	3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0,
	6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 5, 0, 0, 0, 0, 0,
	1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, 0, 0, 0, 0, 0,
	6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 3, 0, 0, 0, 0, 0,
	2, 1, 2, 3, 2, 2, 2, 2, 2, 9, 3, 0, 0, 0, 0, 0,
	5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5, 0, 0, 0, 0, 0,
	1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1, 0, 0, 0, 0, 0,
	6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6, 0, 0, 0, 0, 0,
	3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0,
	6, 4, 2, 5, 4, 5, 6, 7, 8, 9, 5, 0, 0, 0, 0, 0,
	1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, 0, 0, 0, 0, 0,
	6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 10, 0, 0, 0, 0, 0,
	6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0,
	1, 1, 2, 3, 4, 5, 6, 7, 6, 9, 10, 0, 0, 0, 0, 0,
	6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, 0, 0, 0, 0, 0,
	2, 1, 2, 10, 2, 2, 2, 2, 2, 9, 10, 0, 0, 0, 0, 0,
	5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5, 0, 0, 0, 0, 0,
	1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1, 0, 0, 0, 0, 0,
	6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6, 0, 0, 0, 0, 0,
	10, 1, 1, 3, 10, 10, 10, 10, 10, 10, 10, 0, 0, 0, 0, 0,
	6, 4, 2, 5, 4, 5, 6, 7, 8, 9, 5, 0, 0, 0, 0, 0,
	1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, 0, 0, 0, 0, 0,
	6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* Next SCTP state by direction << 8 | event << 4 | state */
static const __u8 SCTP_NEXT[1024] = {
	8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 2, 0, 0,
	5, 5, 5, 3, 4, 6, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	4, 2, 2, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	8, 1, 2, 3, 4, 5, 6, 8, 8, 9, 10, 11, 12, 13, 0, 0,
	10, 1, 2, 3, 4, 5, 6, 7, 10, 9, 10, 11, 12, 13, 0, 0,
	13, 2, 2, 3, 4, 5, 6, 7, 8, 13, 10, 13, 12, 13, 0, 0,
	13, 13, 13, 3, 4, 5, 6, 7, 8, 9, 10, 13, 12, 13, 0, 0,
	13, 1, 2, 3, 4, 5, 6, 13, 8, 9, 10, 11, 12, 13, 0, 0,
	13, 13, 13, 13, 13, 12, 13, 13, 13, 13, 13, 13, 13, 13, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	5, 5, 5, 5, 5, 5, 5, 5, 8, 5, 5, 5, 5, 5, 0, 0,
	3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 10, 11, 12, 13, 0, 0,
	9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 11, 12, 13, 0, 0,
	11, 11, 11, 11, 11, 5, 6, 7, 8, 11, 11, 11, 12, 13, 0, 0,
	13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	13, 13, 13, 13, 13, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	13, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	8, 1, 2, 3, 4, 8, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	1, 2, 2, 2, 2, 2, 6, 7, 8, 9, 10, 11, 2, 2, 0, 0,
	7, 7, 7, 7, 7, 7, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	8, 8, 8, 8, 8, 8, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	8, 1, 2, 8, 8, 5, 8, 8, 8, 9, 10, 11, 12, 13, 0, 0,
	10, 1, 2, 3, 4, 5, 6, 7, 10, 9, 10, 11, 12, 13, 0, 0,
	13, 2, 2, 3, 4, 5, 6, 7, 13, 13, 10, 13, 12, 13, 0, 0,
	13, 13, 13, 13, 13, 5, 6, 7, 8, 9, 13, 13, 12, 13, 0, 0,
	13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0,
	13, 13, 13, 13, 13, 12, 13, 13, 13, 13, 13, 13, 13, 13, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
