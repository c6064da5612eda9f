/**
 * Whether this kernel has what the engine needs, by making all of it once in a network namespace of its own.
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { SysError } from "../../sys/libc.ts";
import { enterNetns, newNetns } from "../../sys/netns.ts";
import { Nfqueue } from "../../sys/nfqueue.ts";
import { RawSender } from "../../sys/rawsocket.ts";
import { PacketFilter } from "./filter.ts";

const QUEUE = 1;
const SLOT = 1 << 17;

/** What each step needs, for whoever misses it. */
const NEEDS = {
  netns: "network namespaces (CONFIG_NET_NS)",
  queue: "packet queues (CONFIG_NETFILTER_NETLINK_QUEUE)",
  filter:
    "nftables with tables that have an owner (CONFIG_NF_TABLES, Linux 5.12) and a way into a queue (CONFIG_NFT_QUEUE, or CONFIG_NFT_COMPAT with CONFIG_NETFILTER_XT_TARGET_NFQUEUE)",
  raw: "raw sockets",
} as const;

/** How it works here, a sentence a finding. @throws Error that names what is missing */
export function enginePossible(): string[] {
  const home = `/proc/${process.pid}/task/${process.pid}/ns/net`;
  // The way back is held open: the path names the new namespace once we are in it.
  const back = holdOpen(home);
  const open: { close(): void }[] = [];
  try {
    step("netns", newNetns);
    open.push(step("queue", () => new Nfqueue(QUEUE, [new Uint8Array(new ArrayBuffer(SLOT))], 0)));
    const filter = step("filter", () => new PacketFilter(QUEUE));
    open.push(filter);
    open.push(step("raw", () => new RawSender(4)));
    const way = filter.by === "queue" ? "nftables' queue expression" : "the xtables target NFQUEUE";
    return [`packets come by ${way} and leave by raw sockets`];
  } finally {
    for (const it of open) it.close();
    enterNetns(`/proc/self/fd/${back.fd}`);
    back.close();
  }
}

function step<T>(name: keyof typeof NEEDS, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = error instanceof SysError ? ` (${error.code})` : "";
    throw new Error(`missing: ${NEEDS[name]}${code}`, { cause: error });
  }
}

function holdOpen(path: string): { fd: number; close(): void } {
  const fd = openSync(path, "r");
  return { fd, close: () => closeSync(fd) };
}
