/**
 * Drops packets to addresses that this host has but does not own (no_accept), all but neighbour discovery: one nftables table, which the
 * kernel removes when this process ends.
 * @module
 */
import { NETLINK, NetlinkSocket } from "../../sys/netlink.ts";
import { parseAddress } from "../../wire/address.ts";
import * as icmpv6 from "../../wire/icmpv6.ts";
import { NetlinkWriter } from "../../wire/netlink.ts";
import { HOOK } from "../../wire/nfqueue.ts";
import { META, NFPROTO, TABLE_OWNER, TableWriter } from "../../wire/nftables.ts";

const PRIORITY = -1;
/** Numbers by which `nft list` prints keys. */
const KEY = { 4: { type: 7, length: 4, at: 16 }, 6: { type: 8, length: 16, at: 24 } } as const;
const ICMPV6 = 58;

export class Refusal {
  #socket: NetlinkSocket | undefined;
  #current = "";

  /** Makes it exactly these addresses; none removes the table. @throws SysError */
  set(addresses: readonly string[]): void {
    const wanted = [...new Set(addresses)].sort();
    if (wanted.join() === this.#current) return;
    this.close();
    if (wanted.length === 0) return;
    const socket = new NetlinkSocket(NETLINK.NETFILTER);
    this.#socket = socket;
    const w = new NetlinkWriter(1 << 14);
    const t = new TableWriter(w, NFPROTO.INET, `lvsd-vrrp-${process.pid}`, () => socket.nextSeq());
    t.batchBegin();
    t.table(TABLE_OWNER);
    t.chain("input", HOOK.LOCAL_IN, PRIORITY);
    let last = 0;
    for (const type of [icmpv6.TYPE.neighborSolicitation, icmpv6.TYPE.neighborAdvertisement])
      t.rule("input", (e) => e.metaIs(META.L4PROTO, [ICMPV6]).transportByte("is", type).accept());
    for (const family of [4, 6] as const) {
      const keys = wanted.map((a) => parseAddress(a)!).filter((a) => a.family === family);
      if (keys.length === 0) continue;
      const { type, length, at } = KEY[family];
      const name = `vip${family}`;
      t.set(name, type, length, family);
      t.elements(
        name,
        keys.map((k) => k.bytes),
        "add",
      );
      const protocol = family === 4 ? NFPROTO.IPV4 : NFPROTO.IPV6;
      last = t.rule("input", (e) => e.metaIs(META.NFPROTO, [protocol]).networkIn(at, length, name).drop());
    }
    t.batchEnd();
    socket.request(w.bytes, last);
    this.#current = wanted.join();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#current = "";
  }
}
