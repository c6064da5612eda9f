/**
 * The nftables table that hands the director's packets, and no others, to the engine's queue. The hooks and priorities are
 * ip_vs's own (`net/netfilter/ipvs/ip_vs_core.c`), so that marks, DNAT, reassembly and routing have happened as they have there.
 *
 * The kernel removes the table when the process that made it ends, however it ends, and `nft flush ruleset` leaves it alone.
 * @module
 */
import { SysError } from "../../sys/libc.ts";
import { NETLINK, NetlinkSocket } from "../../sys/netlink.ts";
import { parseAddress } from "../../wire/address.ts";
import { LITTLE_ENDIAN, NetlinkWriter } from "../../wire/netlink.ts";
import { HOOK } from "../../wire/nfqueue.ts";
import { type Expressions, META, NFPROTO, TABLE_OWNER, TableWriter } from "../../wire/nftables.ts";

/** Name of the table, in family inet. */
export const TABLE_NAME = "lvsd";
/** SO_PRIORITY of packets that the director sent: "lvsd" in ASCII. They are not looked at again. */
export const SENT_BY_DIRECTOR = 0x6c767364;

/** Where the hooks are. */
const PRIORITY = { localIn: 98, forward: 99, localOut: -99 } as const;

/** Numbers by which `nft list` prints keys; names of our sets. */
const SETS = [
  { name: "vip4", type: 7, length: 4 },
  { name: "vip6", type: 8, length: 16 },
  { name: "rip4", type: 7, length: 4 },
  { name: "rip6", type: 8, length: 16 },
  { name: "marks", type: 19, length: 4 },
] as const;
type SetName = (typeof SETS)[number]["name"];

/** Elements a message: an attribute's length is 16 bits. */
const CHUNK = 1000;

const IPV4 = { source: 12, target: 16 } as const;
const IPV6 = { source: 8, target: 24 } as const;
const ICMP_ERRORS = [3, 4, 11];
const ICMPV6_FIRST_INFORMATIONAL = 128;

/** What the director cares about, as text: VIPs, addresses whose packets may be replies, marks. */
export interface Interest {
  readonly vips: Set<string>;
  readonly servers: Set<string>;
  readonly marks: Set<number>;
}

const hostWord = (n: number): Uint8Array => {
  const b = new Uint8Array(4);
  new DataView(b.buffer).setUint32(0, n, LITTLE_ENDIAN);
  return b;
};

/** The table, as long as this object is open. */
export class PacketFilter {
  /** How packets get into the queue on this kernel. */
  readonly by: "queue" | "NFQUEUE";
  readonly #socket: NetlinkSocket;
  readonly #w = new NetlinkWriter(1 << 16);
  readonly #t: TableWriter;
  readonly #held = new Map<SetName, Set<string>>(SETS.map((s) => [s.name, new Set()]));

  /** Makes the table in this process's network namespace. @throws SysError EEXIST when there is one already */
  constructor(queue: number) {
    this.#socket = new NetlinkSocket(NETLINK.NETFILTER);
    this.#socket.setBuffers(4 << 20, 4 << 20);
    this.#t = new TableWriter(this.#w, NFPROTO.INET, TABLE_NAME, () => this.#socket.nextSeq());
    try {
      this.by = this.#make(queue);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  #make(queue: number): "queue" | "NFQUEUE" {
    try {
      this.#program((e) => e.queue(queue));
      return "queue";
    } catch (error) {
      // CONFIG_NFT_QUEUE is not there: the xtables target does the same.
      if (!(error instanceof SysError) || error.code !== "ENOENT") throw error;
      this.#socket.drain();
      this.#program((e) => e.nfqueueTarget(queue));
      return "NFQUEUE";
    }
  }

  #program(queue: (e: Expressions) => void): void {
    const t = this.#t;
    this.#w.reset();
    t.batchBegin();
    t.table(TABLE_OWNER);
    SETS.forEach((s, i) => {
      t.set(s.name, s.type, s.length, i + 1);
    });
    t.chain("local_in", HOOK.LOCAL_IN, PRIORITY.localIn);
    t.chain("forward", HOOK.FORWARD, PRIORITY.forward);
    t.chain("local_out", HOOK.LOCAL_OUT, PRIORITY.localOut);
    const ours = hostWord(SENT_BY_DIRECTOR);
    t.rule("local_out", (e) => e.metaIs(META.PRIORITY, ours).accept());
    let last = 0;
    for (const chain of ["local_in", "forward", "local_out"]) {
      if (chain !== "forward") {
        t.rule(chain, (e) => queue(e.metaIn(META.MARK, "marks")));
        t.rule(chain, (e) => queue(e.metaIs(META.NFPROTO, [NFPROTO.IPV4]).networkIn(IPV4.target, 4, "vip4")));
        t.rule(chain, (e) =>
          queue(e.metaIs(META.NFPROTO, [NFPROTO.IPV6]).networkIn(IPV6.target, 16, "vip6")),
        );
      }
      for (const set of ["rip", "vip"]) {
        if (set === "vip" && chain === "local_in") continue;
        t.rule(chain, (e) =>
          queue(e.metaIs(META.NFPROTO, [NFPROTO.IPV4]).networkIn(IPV4.source, 4, `${set}4`)),
        );
        t.rule(chain, (e) =>
          queue(e.metaIs(META.NFPROTO, [NFPROTO.IPV6]).networkIn(IPV6.source, 16, `${set}6`)),
        );
      }
      for (const type of ICMP_ERRORS) {
        t.rule(chain, (e) =>
          queue(e.metaIs(META.NFPROTO, [NFPROTO.IPV4]).metaIs(META.L4PROTO, [1]).transportByte("is", type)),
        );
      }
      last = t.rule(chain, (e) =>
        queue(
          e
            .metaIs(META.NFPROTO, [NFPROTO.IPV6])
            .metaIs(META.L4PROTO, [58])
            .transportByte("below", ICMPV6_FIRST_INFORMATIONAL),
        ),
      );
    }
    t.batchEnd();
    this.#socket.request(this.#w.bytes, last);
  }

  /** Makes the sets hold exactly what is of interest. @throws SysError */
  update(interest: Interest): void {
    const wanted = bySet(interest);
    this.#change((name, held) => {
      const elements = wanted.get(name)!;
      return {
        fresh: [...elements].filter((x) => !held.has(x)),
        stale: [...held].filter((x) => !elements.has(x)),
      };
    });
  }

  /** Adds to the sets, which takes no longer when they are large. @throws SysError */
  add(interest: Interest): void {
    const wanted = bySet(interest);
    this.#change((name, held) => ({
      fresh: [...wanted.get(name)!].filter((x) => !held.has(x)),
      stale: [],
    }));
  }

  #change(difference: (name: SetName, held: Set<string>) => { fresh: string[]; stale: string[] }): void {
    const changes = SETS.map(({ name }) => ({ name, ...difference(name, this.#held.get(name)!) }));
    this.#w.reset();
    this.#t.batchBegin();
    let last = 0;
    for (const { name, fresh, stale } of changes) {
      for (const [keys, action] of [[stale, "delete"] as const, [fresh, "add"] as const]) {
        for (let i = 0; i < keys.length; i += CHUNK) {
          const some = keys.slice(i, i + CHUNK).map((k) => keyBytes(name, k));
          last = this.#t.elements(name, some, action);
        }
      }
    }
    if (last === 0) return;
    this.#t.batchEnd();
    this.#socket.request(this.#w.bytes, last);
    for (const { name, fresh, stale } of changes) {
      const held = this.#held.get(name)!;
      for (const key of stale) held.delete(key);
      for (const key of fresh) held.add(key);
    }
  }

  /** Removes the table. */
  close(): void {
    this.#socket.close();
  }
}

function bySet(interest: Interest): Map<SetName, Set<string>> {
  const sets = new Map<SetName, Set<string>>(SETS.map((s) => [s.name, new Set()]));
  for (const a of interest.vips) sets.get(a.includes(":") ? "vip6" : "vip4")!.add(a);
  for (const a of interest.servers) sets.get(a.includes(":") ? "rip6" : "rip4")!.add(a);
  for (const m of interest.marks) sets.get("marks")!.add(String(m));
  return sets;
}

function keyBytes(set: SetName, key: string): Uint8Array {
  return set === "marks" ? hostWord(Number(key)) : parseAddress(key)!.bytes;
}
