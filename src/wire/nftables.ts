/**
 * Messages of nf_tables (`include/uapi/linux/netfilter/nf_tables.h`): as much of it as makes a table with sets of addresses
 * and rules that look into them. Numbers inside are big-endian; values that registers hold are in network order.
 * @module
 */
import { type NetlinkWriter, NLM_F } from "./netlink.ts";

const SUBSYS = 10;
const BATCH = { BEGIN: 0x10, END: 0x11 } as const;
const MSG = {
  NEWTABLE: 0,
  DELTABLE: 2,
  NEWCHAIN: 3,
  NEWRULE: 6,
  NEWSET: 9,
  NEWSETELEM: 12,
  DELSETELEM: 14,
} as const;

/** Protocol families (`include/uapi/linux/netfilter.h`). */
export const NFPROTO = { INET: 1, IPV4: 2, IPV6: 10 } as const;

/** The table belongs to the socket that made it and goes with it (Linux 5.12). */
export const TABLE_OWNER = 0x2;

/** Keys of the meta expression. */
export const META = { PRIORITY: 2, MARK: 3, NFPROTO: 15, L4PROTO: 16 } as const;

const REG32 = 8; // NFT_REG32_00
const REG128 = 1; // NFT_REG_1
const CMP_EQ = 0;
const CMP_LT = 2;
const NF_DROP = 0;
const NF_ACCEPT = 1;

/** Writes messages of one family about one table. */
export class TableWriter {
  readonly #w: NetlinkWriter;
  readonly #family: number;
  readonly #table: string;
  readonly #seq: () => number;

  constructor(w: NetlinkWriter, family: number, table: string, seq: () => number) {
    this.#w = w;
    this.#family = family;
    this.#table = table;
    this.#seq = seq;
  }

  /** Opens the transaction. */
  batchBegin(): void {
    this.#w.begin(BATCH.BEGIN, NLM_F.REQUEST, this.#seq()).raw([0, 0, 0, SUBSYS]).end();
  }

  /** Closes the transaction. */
  batchEnd(): void {
    this.#w.begin(BATCH.END, NLM_F.REQUEST, this.#seq()).raw([0, 0, 0, SUBSYS]).end();
  }

  #begin(type: number, flags: number): number {
    const seq = this.#seq();
    this.#w.begin((SUBSYS << 8) | type, NLM_F.REQUEST | flags, seq).raw([this.#family, 0, 0, 0]);
    return seq;
  }

  /** @param exclusive refuses with EEXIST when there is one of that name */
  table(flags: number, exclusive = true): void {
    this.#begin(MSG.NEWTABLE, NLM_F.CREATE | (exclusive ? NLM_F.EXCL : 0));
    this.#w.string(1, this.#table).be32(2, flags).end();
  }

  /** Asks for an acknowledgement, so that it can be the last of a batch: returns its sequence number. */
  deleteTable(): number {
    const seq = this.#begin(MSG.DELTABLE, NLM_F.ACK);
    this.#w.string(1, this.#table).end();
    return seq;
  }

  /** A base chain of type "filter" with policy accept. */
  chain(name: string, hook: number, priority: number): void {
    this.#begin(MSG.NEWCHAIN, NLM_F.CREATE);
    this.#w.string(1, this.#table).string(3, name);
    this.#w.nest(4, (w) => w.be32(1, hook).be32(2, priority >>> 0));
    this.#w.be32(5, NF_ACCEPT).string(7, "filter").end();
  }

  /** A set of keys of `keyLen` bytes; `keyType` is the number by which `nft list` knows how to print them. */
  set(name: string, keyType: number, keyLen: number, id: number): void {
    this.#begin(MSG.NEWSET, NLM_F.CREATE);
    this.#w
      .string(1, this.#table)
      .string(2, name)
      .be32(3, 0)
      .be32(4, keyType)
      .be32(5, keyLen)
      .be32(10, id)
      .end();
  }

  /** Adds or deletes elements; asks for an acknowledgement and returns its sequence number. */
  elements(set: string, keys: readonly Uint8Array[], action: "add" | "delete"): number {
    const seq =
      action === "add"
        ? this.#begin(MSG.NEWSETELEM, NLM_F.CREATE | NLM_F.ACK)
        : this.#begin(MSG.DELSETELEM, NLM_F.ACK);
    this.#w.string(1, this.#table).string(2, set);
    this.#w.nest(3, (w) => {
      for (const key of keys) w.nest(1, () => w.nest(1, () => w.bytesAttr(1, key)));
    });
    this.#w.end();
    return seq;
  }

  /** A rule at the end of a chain. */
  rule(chain: string, body: (e: Expressions) => void): number {
    const seq = this.#begin(MSG.NEWRULE, NLM_F.CREATE | NLM_F.APPEND | NLM_F.ACK);
    this.#w.string(1, this.#table).string(2, chain);
    this.#w.nest(4, (w) => body(new Expressions(w)));
    this.#w.end();
    return seq;
  }
}

/** Writes the expressions of one rule, in the order in which the kernel evaluates them. */
export class Expressions {
  readonly #w: NetlinkWriter;

  constructor(w: NetlinkWriter) {
    this.#w = w;
  }

  #expression(name: string, body: (w: NetlinkWriter) => void): this {
    this.#w.nest(1, (w) => {
      w.string(1, name);
      w.nest(2, body);
    });
    return this;
  }

  #compare(op: number, value: ArrayLike<number>, register: number): this {
    return this.#expression("cmp", (w) => {
      w.be32(1, register).be32(2, op);
      w.nest(3, () => w.bytesAttr(1, value));
    });
  }

  /** Continues when a piece of metadata has this value, bytes as the kernel keeps them. */
  metaIs(key: number, value: ArrayLike<number>): this {
    this.#expression("meta", (w) => w.be32(1, REG32).be32(2, key));
    return this.#compare(CMP_EQ, value, REG32);
  }

  /** Continues when the mark is in the set. */
  metaIn(key: number, set: string): this {
    this.#expression("meta", (w) => w.be32(1, REG32).be32(2, key));
    return this.#expression("lookup", (w) => w.string(1, set).be32(2, REG32));
  }

  /** Continues when bytes of the network header are in the set. */
  networkIn(offset: number, length: 4 | 16, set: string): this {
    const register = length === 4 ? REG32 : REG128;
    this.#expression("payload", (w) => w.be32(1, register).be32(2, 1).be32(3, offset).be32(4, length));
    return this.#expression("lookup", (w) => w.string(1, set).be32(2, register));
  }

  /** Continues when the first byte of the transport header is, or is less than, a number. */
  transportByte(op: "is" | "below", value: number): this {
    this.#expression("payload", (w) => w.be32(1, REG32).be32(2, 2).be32(3, 0).be32(4, 1));
    return this.#compare(op === "is" ? CMP_EQ : CMP_LT, [value], REG32);
  }

  accept(): this {
    return this.#expression("immediate", (w) => {
      w.be32(1, 0);
      w.nest(2, () => w.nest(2, () => w.be32(1, NF_ACCEPT)));
    });
  }

  drop(): this {
    return this.#expression("immediate", (w) => {
      w.be32(1, 0);
      w.nest(2, () => w.nest(2, () => w.be32(1, NF_DROP)));
    });
  }

  /** Sends a copy by way of a gateway (4 or 16 bytes) on an interface. */
  duplicate(gateway: Uint8Array, device: Uint8Array): this {
    const load = (register: number, value: Uint8Array): this =>
      this.#expression("immediate", (w) => {
        w.be32(1, register);
        w.nest(2, () => w.bytesAttr(1, value));
      });
    const [to, by] = gateway.length === 4 ? [REG32, REG32 + 1] : [REG128, REG32 + 4];
    load(to, gateway);
    load(by, device);
    return this.#expression("dup", (w) => w.be32(1, to).be32(2, by));
  }

  /** Hands the packet to a queue by the native expression (CONFIG_NFT_QUEUE). */
  queue(number: number): this {
    return this.#expression("queue", (w) => w.be16(1, number).be16(2, 1).be16(3, 0));
  }

  /** Hands the packet to a queue by the xtables target NFQUEUE (CONFIG_NFT_COMPAT). */
  nfqueueTarget(number: number): this {
    // struct xt_NFQ_info_v3 { u16 queuenum, queues_total, flags }, host order, padded to 8.
    const info = new Uint8Array(8);
    new Uint16Array(info.buffer).set([number, 1, 0]);
    return this.#expression("target", (w) => w.string(1, "NFQUEUE").be32(2, 3).bytesAttr(3, info));
  }
}
