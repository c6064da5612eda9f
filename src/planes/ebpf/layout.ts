/**
 * What the BPF programs in `bpf/` and this plane share: structs, constants, maps. `bpf/layout.h` is generated from here by
 * `npm run build:bpf`; a test holds it against the BTF of the committed object.
 *
 * Who writes what: words of configuration are written by user space only, counters and states by BPF only (unless a field says
 * otherwise). User space changes single words through mmap; it never writes back a whole element that BPF counts in.
 * @module
 */
import { struct } from "./struct.ts";

// --- constants ------------------------------------------------------------------------------------------------------------

/** Schedulers by number. */
export const SCHEDULER = {
  none: 0,
  rr: 1,
  wrr: 2,
  lc: 3,
  wlc: 4,
  sed: 5,
  nq: 6,
  fo: 7,
  ovf: 8,
  sh: 9,
  dh: 10,
  mh: 11,
  lblc: 12,
  lblcr: 13,
  twos: 14,
} as const;

/** Bits of `service.flags`. */
export const SERVICE_FLAG = {
  persistent: 1,
  onePacket: 2,
  schedFallback: 8,
  schedPort: 16,
  sip: 32,
} as const;

/** Forwarding methods: the kernel's numbers, as `METHOD_NUMBER` in core. */
export const METHOD = { nat: 0, local: 1, tun: 2, dr: 3, bypass: 4, fullnat: 5 } as const;

/** Bits of `dest.flags`. */
export const DEST_FLAG = {
  /** Belongs to its service; cleared on removal (the destination then waits in the trash). */
  available: 1,
  /** Test mode only: the address is one of the director's own. Otherwise the routing table says so. */
  local: 2,
} as const;

/** Tunnel types, as `TUNNEL_NUMBER` in core. */
export const TUNNEL = { ipip: 0, gue: 1, gre: 2 } as const;
/** Tunnel flags: remcsum equals csum on transmit, as packets here have finished checksums. */
export const TUNNEL_FLAG = { csum: 1, remcsum: 2 } as const;

/** `conn` control word, low to high: phase 8 bits, state 8, flags 16, generation 32. Flags are core's `FLAG`. */
export const CTL = { phaseShift: 0, stateShift: 8, flagsShift: 16, generationShift: 32 } as const;
/** Phases of a slot. Only `live` ones are connections. */
export const PHASE = { free: 0, live: 1, dying: 2 } as const;
/** Connection flags (core's `FLAG`). `hashed` = its keys are in the lookup maps. */
export const CONN_FLAG = {
  methodMask: 0x0007,
  sync: 0x0020,
  hashed: 0x0040,
  noOutput: 0x0080,
  inactive: 0x0100,
  /** FTP data: the first packet tells the client's port. */
  noClientPort: 0x0800,
  template: 0x1000,
  onePacket: 0x2000,
  /** Here only: a control connection that the FTP helper reads. */
  watched: 0x4000,
} as const;

/** Bits of `conn.marks`. */
export const CONN_MARK = {
  /** server_isn is known. */
  serverIsn: 1,
  /** fwmark is not 0. */
  fwmark: 2,
  /** Written by user space, and not in the hash table yet: PROGRAMS.adopt puts it there. */
  adopt: 4,
  /** A template of a SIP call: its key is in `calls`, its Call-ID in `call_ids`. */
  call: 16,
  /** The FTP client asked for passive transfers. */
  passive: 32,
  /** Is to be found no more: PROGRAMS.adopt takes its keys out, before it puts others in. */
  forget: 64,
} as const;

/** References to connections, low to high: slot 32 bits, direction, whether it is still being put in, hash 30 bits. */
export const REF = { replyShift: 32, tentativeShift: 33, tagShift: 34 } as const;

/** Bits of `config.settings`: the director's settings that are flags. */
export const SETTING = {
  sloppyTcp: 1,
  sloppySctp: 2,
  expireNodestConn: 4,
  expireQuiescentTemplate: 8,
  natIcmpSend: 16,
  cacheBypass: 32,
  scheduleIcmp: 64,
  pmtuDisc: 128,
  fullnatToa: 256,
  /** snat_reroute=0. */
  keepRoute: 512,
  ignoreTunneled: 1024,
  runEstimation: 2048,
} as const;

/** `config.defences`, the modes of the three strategies, and `config.in_force`, which of them are. */
export const DEFENCE = {
  /** Modes as they are set, two bits each: drop_entry, then these. */
  packetShift: 2,
  secureShift: 4,
  mode: 3,
  /** Some mode follows the memory. */
  automatic: 64,
  /** In force. */
  dropEntry: 1,
  dropPacket: 2,
  secureTcp: 4,
} as const;

/** Bits of `config.test`. */
export const TEST = {
  /** The time is `config.test_now_ns`. */
  clock: 1,
  /** No routing table, no redirects: verdict and next hop are left in `trace`, the frame's MAC addresses stay. */
  output: 2,
  /** Random numbers follow from `state.chance`. */
  random: 4,
  /** `config.test_pages` of memory are available. */
  memory: 8,
  /** drop_entry looks at every connection each second. */
  thorough: 16,
} as const;

/** `trace.verdict`. */
export const VERDICT = {
  none: 0,
  /** Left to the stack, untouched. */
  accept: 1,
  /** Left to the stack, rewritten (local delivery). */
  local: 2,
  /** On its way to `trace.hop`. */
  send: 3,
  drop: 4,
  /** Became an ICMP error on its way to `trace.hop`. */
  answer: 5,
} as const;

/** What became of a `sync_entry`. */
export const SYNC_OUTCOME = {
  none: 0,
  waits: 1,
  made: 2,
  updated: 3,
  /** News of what was replaced here. */
  ignored: 4,
  /** No room in the table. */
  failed: 5,
  /** As waits, but what is known here stays as it is. */
  waitsNew: 6,
} as const;

/** Bits of `sync_entry.marks`: what else the entry has. */
export const SYNC_MARK = {
  /** seq_delta and server_isn. */
  sequence: 1,
  /** Full-NAT: server_isn is known. */
  serverIsn: 2,
  /** A template of a SIP call: which, is in `sync_calls` at the same place. */
  call: 4,
} as const;

/** Indexes of `drops`: why packets were dropped, beyond what ip_vs counts. */
export const DROP = {
  none: 0,
  /** No free slot for a new connection. */
  tableFull: 1,
  /** Its destination left the service. */
  orphan: 2,
  /** drop_packet. */
  defence: 3,
  /** No destination; the client was told. */
  refused: 4,
  noRoute: 5,
  tooBig: 6,
  ttl: 7,
  /** Full-NAT found no free port. */
  noPort: 8,
  /** Broken headers. */
  malformed: 9,
  /** The packet could not be changed or sent (memory). */
  failed: 10,
  boundary: 11,
  /** Of a connection that may be on its way from another director: nobody's stack is to end it. */
  awaited: 12,
} as const;
/** Entries of `drops`. */
export const DROPS = 16;

/** Fixed sizes. */
export const LIMIT = {
  /** Destination ids are 1..dests-1. */
  dests: 65536,
  /** Entries of `order`. */
  order: 131072,
  /** Destinations that one step of a scan looks at. */
  scan: 16,
  /** Entries of `state.drops`. */
  drops: DROPS,
  /** Entries of sync_inbox. */
  inbox: 256,
  /** Entries of a hash table. */
  table: 4096,
  /** Destinations that lblcr remembers for an address. */
  members: 32,
  /** References in a bucket. */
  refs: 7,
  /** Bytes kept for a Call-ID, of which 255 are used. */
  call: 256,
} as const;

// --- structs ----------------------------------------------------------------------------------------------------------------

/** Key of `services`. Unused bytes are 0. */
export const SERVICE_KEY = struct("service_key", "What names a virtual service", {
  address: ["address", "VIP; of fwmark services the first word is the mark, host order"],
  port: ["be16", "0 = any port, and fwmark services"],
  protocol: ["u8", "IP protocol; 0 for fwmark services"],
  family: ["u8", "4 or 6; | 0x80 for fwmark services"],
});

export const SERVICE = struct("service", "A virtual service; one update replaces it as a whole", {
  id: ["u32", "index of service_state and service_stats, 1.."],
  scheduler: ["u32", "SCHEDULER_*"],
  flags: ["u32", "SERVICE_FLAG_*"],
  timeout_ms: ["u32", "persistence timeout"],
  mask: ["address", "persistence netmask"],
  order_at: ["u32", "first entry of its run in order"],
  order_count: ["u32", "destinations in the run, newest first"],
  wrr_step: ["u32", "wrr: greatest common divisor of the weights, 1 if none"],
  wrr_top: ["u32", "wrr: greatest weight less (step - 1); 0 = all weights 0"],
  fwmark: ["u32", "0 unless a fwmark service"],
  port: ["be16", "as in the key"],
  protocol: ["u8", "as in the key; 6 for fwmark services"],
  family: ["u8", "4 or 6"],
  local_at: ["u32", "full-NAT: first entry of its run in locals"],
  local_count: ["u32", "full-NAT: local addresses, 0 = dest.source"],
});

export const SERVICE_STATE = struct(
  "service_state",
  "What scheduling leaves behind; user space adjusts it with the list",
  {
    position: ["s32", "rr, wrr: place of the last choice in the list, -1 = before the first"],
    level: ["u32", "wrr: current weight"],
    local_turn: ["u32", "full-NAT: local addresses used so far"],
    era: ["u32", "lblc, lblcr: counts up when what was remembered is to be forgotten, 16 bits"],
    flags: ["u32", "user space: service.flags"],
    spare: ["u32", "0"],
  },
);

export const DEST = struct("dest", "A real server; indexed by destination id", {
  address: ["address", "RIP"],
  source: ["address", "source address that routing prefers towards it: TUN outer source, full-NAT default"],
  port: ["be16", "0 = port of the packet"],
  tunnel_port: ["be16", "GUE"],
  family: ["u8", "4 or 6"],
  method: ["u8", "METHOD_*"],
  tunnel: ["u8", "TUNNEL_*"],
  tunnel_flags: ["u8", "TUNNEL_FLAG_*"],
  upper: ["u32", "overload threshold, 0 = none"],
  lower: ["u32", "threshold in force below which the overload ends (upper - upper / 4 if not given)"],
  service: ["u32", "id of its service"],
  flags: ["u32", "DEST_FLAG_*"],
  persistent: ["u32", "BPF: live templates"],
  path_mtu: ["u32", "BPF: learned from ICMP about tunnel packets, 0 = none"],
  path_mtu_until: ["u64", "BPF: ns"],
});

export const LOAD = struct("load", "What schedulers look at; entry of loads, indexed by destination id", {
  weight: ["u32", "user space: 0 = quiesced"],
  active: ["u32", "BPF: active connections"],
  inactive: ["u32", "BPF: the other connections"],
  overloaded: ["u32", "BPF, and user space when thresholds change: 1 = over the upper threshold"],
});

export const DEST_STATS = struct("dest_stats", "Per CPU: counters of a destination and its next hop", {
  conns: ["u64", "connections scheduled"],
  in_packets: ["u64", "requests"],
  out_packets: ["u64", "replies"],
  in_bytes: ["u64", "IP packet lengths"],
  out_bytes: ["u64", "IP packet lengths"],
  hop_until: ["u64", "the next hop is good until then, ns"],
  hop_ifindex: ["u32", "0 = none"],
  hop_mtu: ["u32", "bytes"],
  hop_target: ["mac", "neighbour"],
  hop_source: ["mac", "own"],
  hop_kind: ["u32", "HOP_*"],
});

/** Kinds of `dest_stats.hop_kind`. */
export const HOP = { none: 0, neighbour: 1, resolve: 2, local: 3 } as const;

export const STATS = struct("stats", "Per CPU: counters of a service; index 0 is the total", {
  conns: ["u64", "connections scheduled"],
  in_packets: ["u64", "requests"],
  out_packets: ["u64", "replies"],
  in_bytes: ["u64", "IP packet lengths"],
  out_bytes: ["u64", "IP packet lengths"],
});

export const CONN = struct(
  "conn",
  "A connection or template; slot of slab. Two cache lines; packets of IPv4 connections need the first one only",
  {
    ctl: ["u64", "generation, flags, state, phase: CTL_*; changed by compare-and-swap"],
    expires: ["u64", "ns"],
    dest: ["u32", "destination id, 0 = none"],
    timeout_ms: ["u32", "what a packet sets expires to"],
    in_packets: ["u32", "requests"],
    parent: ["u32", "slot of its template, 0 = none"],
    protocol: ["u8", "IP protocol; 0 for templates of fwmark services"],
    family: ["u8", "4 or 6, client's side"],
    dest_family: ["u8", "4 or 6"],
    marks: ["u8", "CONN_MARK_*"],
    client_port: ["be16", "0 for templates, and with noClientPort"],
    virtual_port: ["be16", "65535: template that must not match any more"],
    dest_port: ["be16", "RIP's side"],
    local_port: ["be16", "full-NAT"],
    service: ["u32", "id of the service that scheduled it"],
    client: ["be32", "CIP: first word"],
    virtual: ["be32", "VIP: first word; the mark, host order, for templates of fwmark services"],
    dest_address: ["be32", "RIP: first word"],
    local: ["be32", "full-NAT: LIP: first word"],
    client_more: [["be32", 3], "the other words, where it is IPv6"],
    virtual_more: [["be32", 3], "the other words, where it is IPv6"],
    dest_address_more: [["be32", 3], "the other words, where it is IPv6"],
    local_more: [["be32", 3], "the other words, where it is IPv6"],
    children: ["u32", "connections under this template"],
    fwmark: ["u32", "mark of the first packet; 0 unless CONN_MARK_FWMARK"],
    seq_delta: ["u32", "full-NAT: new less old initial sequence number; FTP: see bpf/sequence.h"],
    server_isn: ["u32", "full-NAT: the server's initial sequence number + 1; FTP: see there"],
  },
);

export const KEY = struct("key", "Two ends of packets: what connections are looked for by", {
  source: ["address", "client, or server of a NAT reply"],
  target: ["address", "VIP, or client (or LIP) of a NAT reply; the mark for templates of fwmark services"],
  source_port: ["be16", ""],
  target_port: ["be16", ""],
  protocol: ["u8", ""],
  kind: ["u8", "KIND_*"],
  family: ["u16", "4 or 6"],
});

/** Kinds of keys. */
export const KIND = { packet: 0, template: 1 } as const;

export const BUCKET = struct("bucket", "References of the hash table of connections; a cache line", {
  spilled: ["u64", "references that belong here and found room further on only"],
  refs: [["u64", LIMIT.refs], "REF_*; 0 = free; changed by compare-and-swap"],
});

export const CALL = struct(
  "call",
  "What a template of a SIP service is for; key of calls, and value of call_ids",
  {
    source: ["address", "masked client"],
    target: ["address", "VIP; the mark for templates of fwmark services"],
    target_port: ["be16", ""],
    protocol: ["u8", ""],
    family: ["u8", "4 or 6"],
    length: ["u32", "bytes of the Call-ID"],
    id: [["u8", LIMIT.call], "the Call-ID, then 0"],
  },
);

export const CALL_REF = struct("call_ref", "Value of calls", {
  slot: ["u32", "of slab"],
  generation: ["u32", "of the slot"],
});

export const FRAG_KEY = struct("frag_key", "What fragments of a packet share", {
  source: ["address", ""],
  target: ["address", ""],
  id: ["u32", "IPv4 identification or that of the fragment header"],
  protocol: ["u8", "0 for IPv6"],
  family: ["u8", "4 or 6"],
  zero: ["u16", "0"],
});

export const FRAG = struct("frag", "What the first fragment said", {
  until: ["u64", "ns"],
  source_port: ["be16", ""],
  target_port: ["be16", ""],
  protocol: ["u8", "IPv6: that of the first fragment"],
  cut: ["u8", "BPF: the first one is too long for its way, and all go by the stack"],
  zero: [["u8", 2], "0"],
});

export const CONFIG = struct("config", "Written by user space, but for what is marked", {
  test_now_ns: ["u64", "the time, with TEST_CLOCK"],
  seed: [["u64", 2], "random: where connections lie in buckets"],
  bucket_mask: ["u64", "entries of buckets (a power of two) - 1"],
  test: ["u32", "TEST_*"],
  settings: ["u32", "SETTING_*"],
  conn_reuse_mode: ["u32", "as the setting"],
  drop_rate: ["u32", "BPF: drop_packet: every n-th new connection, 0 = none"],
  in_force: ["u32", "BPF: DEFENCE_*: the defence strategies that are on"],
  slots: ["u32", "entries of slab"],
  services4: ["u32", "number of IPv4 services: without any the family is left alone"],
  services6: ["u32", "number of IPv6 services"],
  mark_services: ["u32", "number of fwmark services"],
  ftp_services: ["u32", "number of TCP services with port 21"],
  any_port_services: ["u32", "number of services with port 0"],
  sip_services: ["u32", "number of services that are persistent by Call-ID"],
  port_start: ["u32", "net.ipv4.ip_unprivileged_port_start"],
  oneway_dests: ["u32", "destinations, live or trashed, that are not NAT or full-NAT"],
  stand_back: ["u32", "1: requests are left alone (backup_only while the backup daemon runs)"],
  udp_ms: ["u32", "timeout"],
  tcp_ms: [["u32", 16], "timeouts by state"],
  sctp_ms: [["u32", 16], "timeouts by state"],
  lblc_expiration_s: ["u32", "as the setting"],
  lblcr_expiration_s: ["u32", "as the setting"],
  est_services: ["u32", "estimates: services looked at, the highest id + 1"],
  est_dests: ["u32", "estimates: destinations looked at, the highest id + 1"],
  defences: ["u32", "modes of the defence strategies, DEFENCE_*"],
  amemthresh: ["u32", "as the setting"],
  am_droprate: ["u32", "as the setting"],
  test_pages: ["u32", "pages of memory, with TEST_MEMORY"],
  super_inodes: ["u32", "offset of super_block.s_inodes in this kernel"],
  inode_list: ["u32", "offset of inode.i_sb_list"],
  inode_mapping: ["u32", "offset of inode.i_mapping"],
  mapping_pages: ["u32", "offset of address_space.nrpages; 0 = nothing is known about block devices"],
  free_pages_at: ["u64", "address of vm_zone_stat, whose first word counts the free pages; 0 = not known"],
  devices_at: ["u64", "address of blockdev_superblock"],
  sync_on: ["u32", "1: a master daemon runs, sync_events is read"],
  sync_threshold: ["u32", "number of the request from which on a connection is announced"],
  sync_period: ["u32", "and again every so many requests, 0 = never"],
  sync_first: ["u32", "requests that are told of whatever their number"],
  sync_first_child: ["u32", "the same of connections with a template"],
  awaiting: ["u32", "1: connections of another director, or version, are on their way"],
});

export const STATE = struct("state", "Written by BPF", {
  fresh: ["u32", "slots below were used before; starts at 1"],
  hand: ["u32", "where the sweeper goes on"],
  dropper: ["u32", "drop_packet: packets until the next drop"],
  judged: ["u32", "config.defences as they were judged last"],
  answer_credit: ["u32", "ICMP errors that may be sent now"],
  chance: ["u32", "with TEST_RANDOM: what the next random number is made from"],
  waiting: ["u32", "FTP data connections whose client port is not known yet"],
  spare: ["u32", "0"],
  answer_at_ms: ["u64", "when answer_credit was right"],
  sweeps: ["u64", "rounds of the sweeper"],
  swept: ["u64", "connections it ended"],
  ticks: ["u64", "of the timer"],
  spared: [["u32", 16], "drop_entry: connections still spared, by number of packets"],
  drops: [["u64", DROPS], "packets by DROP_*"],
  defend_at: ["u64", "when the memory is looked at again, ns"],
  judged_threshold: ["u32", "amemthresh as it was then"],
  judged_rate: ["u32", "am_droprate as it was then"],
  sync_lost: ["u64", "events that sync_events had no room for"],
  freed: ["u64", "1: slots may wait in free_slots"],
});

export const TRACE = struct("trace", "What became of the last packet; written with TEST_OUTPUT only", {
  verdict: ["u32", "VERDICT_*"],
  reason: ["u32", "DROP_* of a drop"],
  dest: ["u32", "destination id, 0 = none"],
  slot: ["u32", "connection, 0 = none"],
  hop_family: ["u32", "4, 6"],
  mtu: ["u32", "set by a test before: MTU of every path, 0 = no limit"],
  hop: ["address", "next hop asked for"],
  own: ["u32", "set by a test before: 1 = the packet's target is an address of the director"],
});

export const ESTIMATE = struct(
  "estimate",
  "What readers of counters see: connections, packets in and out, bytes in and out",
  {
    seen: [["u64", 5], "BPF: the counters at the last slot of 2 s"],
    rate: [["u64", 5], "BPF: signed fixed point, 10 bits behind the point (bytes 5); user space sets 0"],
    base: [["u64", 5], "user space: what seen was when the counters were zeroed"],
  },
);

export const ESTIMATOR = struct("estimator", "Where the estimator is", {
  round_at: ["u64", "when this round of 2 s began, ns"],
  hand: ["u32", "entries of this round that are done: services first, then destinations"],
  spare: ["u32", "0"],
});

export const LOCALITY_KEY = struct("locality_key", "lblc, lblcr: a destination address of packets", {
  era: ["u32", "service id | service_state.era << 16"],
  address: ["address", "VIP or, for fwmark services, any"],
});

export const LOCALITY = struct("locality", "lblc, lblcr: what was chosen for an address", {
  last_use: ["u64", "ns"],
  last_change: ["u64", "lblcr: when a member came or went, ns"],
  count: ["u32", "members, lblc 1"],
  members: [["u32", LIMIT.members], "destination ids, newest first"],
  spare: ["u32", "0"],
});

export const SYNC_EVENT = struct(
  "sync_event",
  "Record of sync_events: a connection that may have to be announced",
  {
    slot: ["u32", "of slab"],
    generation: ["u32", "of the slot, the low 31 bits"],
    packets: ["u32", "its requests so far"],
    spare: ["u32", "0"],
  },
);

export const SYNC_ENTRY = struct(
  "sync_entry",
  "Element of sync_inbox: a connection that a master announced",
  {
    outcome: ["u32", "SYNC_OUTCOME_*: waits from user space, the rest from BPF"],
    flags: ["u32", "CONN_FLAG_*"],
    state: ["u32", "by protocol"],
    fwmark: ["u32", "mark of the first packet"],
    timeout_ms: ["u32", ""],
    packets: ["u32", "in_packets that it begins with"],
    service: ["u32", "id of the service here, 0 = none"],
    dest: ["u32", "destination id, 0 = none"],
    client: ["address", "CIP"],
    virtual: ["address", "VIP; the mark, host order, for templates of fwmark services"],
    dest_address: ["address", "RIP"],
    local: ["address", "full-NAT: LIP"],
    client_port: ["be16", ""],
    virtual_port: ["be16", ""],
    dest_port: ["be16", ""],
    local_port: ["be16", "full-NAT"],
    protocol: ["u8", ""],
    family: ["u8", "4 or 6"],
    spare: ["u16", "0"],
    marks: ["u32", "SYNC_MARK_*"],
    seq_delta: ["u32", "as in conn"],
    server_isn: ["u32", "as in conn"],
  },
);

export const TICKER = struct("ticker", "The timer that sweeps", {
  timer: ["timer", "kernel's"],
});

// --- maps -----------------------------------------------------------------------------------------------------------------

/** What a map's size depends on. `fixed` maps keep the size they are compiled with. */
export type Scale = "fixed" | "connections" | "buckets" | "services" | "dests";

/** A map of the object: type, key and value size in bytes, and what decides max_entries. */
export interface MapLayout {
  readonly type:
    | "array"
    | "percpu_array"
    | "hash"
    | "lru_hash"
    | "queue"
    | "array_of_maps"
    | "lru_percpu_hash"
    | "devmap_hash"
    | "ringbuf";
  readonly key: number;
  readonly value: number;
  readonly scale: Scale;
  /** User space may mmap it. */
  readonly mmap: boolean;
}

const array = (value: number, scale: Scale): MapLayout => ({
  type: "array",
  key: 4,
  value,
  scale,
  mmap: true,
});
const perCpu = (value: number, scale: Scale): MapLayout => ({
  type: "percpu_array",
  key: 4,
  value,
  scale,
  mmap: false,
});

/** Sizes when nothing else is asked for. */
export const DEFAULT_ENTRIES = { connections: 262144, services: 16384, dests: 16384 } as const;

/** Buckets for so many connections, a power of two: NAT connections have two references, and four of the seven places get used. */
export const bucketsFor = (connections: number): number => 2 ** Math.ceil(Math.log2((2 * connections) / 4));

/** The maps by name (also the name to pin them under). */
export const MAPS = {
  config: array(CONFIG.size, "fixed"),
  state: array(STATE.size, "fixed"),
  trace: array(TRACE.size, "fixed"),
  services: { type: "hash", key: SERVICE_KEY.size, value: SERVICE.size, scale: "services", mmap: false },
  service_state: array(SERVICE_STATE.size, "services"),
  service_stats: perCpu(STATS.size, "services"),
  dests: array(DEST.size, "dests"),
  loads: array(LOAD.size * LIMIT.dests, "fixed"),
  order: array(2 * LIMIT.order, "fixed"),
  locals: array(16, "dests"),
  dest_stats: perCpu(DEST_STATS.size, "dests"),
  slab: array(CONN.size, "connections"),
  free_slots: { type: "queue", key: 0, value: 4, scale: "connections", mmap: false },
  buckets: array(BUCKET.size, "buckets"),
  /** Templates by Call-ID, and what call the template in a slot is of. */
  calls: { type: "hash", key: CALL.size, value: CALL_REF.size, scale: "connections", mmap: false },
  call_ids: { type: "hash", key: 4, value: CALL.size, scale: "connections", mmap: false },
  /** Keys of services that are persistent by Call-ID, by service id. */
  sip_services: { type: "hash", key: 4, value: SERVICE_KEY.size, scale: "services", mmap: false },
  frags: { type: "lru_hash", key: FRAG_KEY.size, value: FRAG.size, scale: "fixed", mmap: false },
  /** Connections of a master, from the sync process. */
  sync_inbox: array(SYNC_ENTRY.size, "fixed"),
  /** The calls that they are templates of. */
  sync_calls: array(CALL.size, "fixed"),
  /** Connections to announce, for the sync process. */
  sync_events: { type: "ringbuf", key: 0, value: 0, scale: "fixed", mmap: false },
  ticker: { type: "array", key: 4, value: TICKER.size, scale: "fixed", mmap: false },
  /**
   * Destination id by what packets show of a server (key as of `services`). NAT: RIP, its port, the service's protocol (0: any, for
   * fwmark services). TUN: RIP, GUE port or 0, outer protocol (4, 47, 17), family | 0x40.
   */
  servers: { type: "hash", key: SERVICE_KEY.size, value: 4, scale: "dests", mmap: false },
  /** Interfaces that native XDP may send to, by index. */
  outlets: { type: "devmap_hash", key: 4, value: 4, scale: "fixed", mmap: false },
  service_estimates: array(ESTIMATE.size, "services"),
  dest_estimates: array(ESTIMATE.size, "dests"),
  estimator: array(ESTIMATOR.size, "fixed"),
  /** sh, mh: by service id an array of one table, 2 x LIMIT.table bytes. */
  tables: { type: "array_of_maps", key: 4, value: 4, scale: "services", mmap: false },
  locality: { type: "lru_hash", key: LOCALITY_KEY.size, value: LOCALITY.size, scale: "fixed", mmap: false },
} as const satisfies Record<string, MapLayout>;

/** Programs of the object by name. */
export const PROGRAMS = {
  /** TC ingress of every interface with Ethernet headers, `lo` included. */
  ingress: "lvsd_ingress",
  /** TC ingress of interfaces without (tun, ipip). */
  ingressRaw: "lvsd_ingress_raw",
  /** TC egress of interfaces through which replies of local real servers leave. */
  egress: "lvsd_egress",
  /** The same for interfaces without Ethernet headers. */
  egressRaw: "lvsd_egress_raw",
  /** TC egress of the device to which netfilter's rules bring marked packets. */
  marked: "lvsd_marked",
  /** Native XDP of interfaces that have it: does the common case and passes the rest on to TC. */
  xdp: "lvsd_xdp",
  /** Test run: prepares `state` and starts the timer. Run once after loading, and after every change of programs. */
  start: "lvsd_start",
  /** Test run: takes the entries of sync_inbox, up to the first that does not wait, into the table. */
  synced: "lvsd_synced",
  /** Test run: sweeps the whole table once. */
  sweep: "lvsd_sweep",
  /** Test run: takes connections out of the hash table, and puts those that user space wrote into it (CONN_MARK.forget, adopt). */
  adopt: "lvsd_adopt",
} as const;

/** Every struct that C gets. */
export const STRUCTS = [
  SERVICE_KEY,
  SERVICE,
  SERVICE_STATE,
  DEST,
  LOAD,
  DEST_STATS,
  STATS,
  CONN,
  KEY,
  BUCKET,
  CALL,
  CALL_REF,
  FRAG_KEY,
  FRAG,
  CONFIG,
  STATE,
  TRACE,
  SYNC_EVENT,
  SYNC_ENTRY,
  TICKER,
  ESTIMATE,
  ESTIMATOR,
  LOCALITY_KEY,
  LOCALITY,
] as const;

/** Every group of constants that C gets, by prefix. */
export const CONSTANTS = {
  SCHEDULER,
  SERVICE_FLAG,
  METHOD,
  DEST_FLAG,
  TUNNEL,
  TUNNEL_FLAG,
  CTL,
  PHASE,
  CONN_FLAG,
  CONN_MARK,
  REF,
  SETTING,
  DEFENCE,
  TEST,
  VERDICT,
  DROP,
  SYNC_OUTCOME,
  SYNC_MARK,
  LIMIT,
  HOP,
  KIND,
} as const;
