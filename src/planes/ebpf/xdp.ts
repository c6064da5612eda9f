/**
 * Where XDP goes in front of TC: network cards whose drivers have it. Not veth, where it would take segmentation from the sender, nor
 * anything made of other interfaces, nor paravirtual cards, which give up receive offloads for it. `LVSD_XDP` names interfaces
 * instead ("no" = none). The TC programs are there all the same: XDP does the common case only.
 * @module
 */
import { UnsupportedError } from "../../core/errors.ts";
import type { Interface } from "../../sys/bpf/interfaces.ts";
import { BpfMap } from "../../sys/bpf/map.ts";
import { GenericNetlink } from "../../sys/genl.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import type { EbpfPaths } from "./paths.ts";

/** Buses of cards that are meant when nobody says which. */
const CARDS = ["pci", "platform", "fsl-mc"];

/** The generic netlink family "netdev" (`include/uapi/linux/netdev.h`). */
const NETDEV = { name: "netdev", version: 1, DEV_GET: 1, IFINDEX: 1, XDP_FEATURES: 3 } as const;
/** `NETDEV_XDP_ACT_*`: a program may be attached; other programs may send there. */
const BASIC = 1;
const NDO_XMIT = 4;

/** What is asked for. */
export type XdpWish =
  /** Cards that can, and where it already is. */
  | { readonly kind: "automatic" }
  /** These, by name; what cannot is refused. */
  | { readonly kind: "named"; readonly names: readonly string[] };

/** Reads `LVSD_XDP`: names of interfaces with commas between, "no" for none, "auto" as if nothing was said. */
export function xdpWish(text = process.env["LVSD_XDP"] ?? ""): XdpWish {
  if (text === "" || text === "auto") return { kind: "automatic" };
  if (text === "no") return { kind: "named", names: [] };
  return { kind: "named", names: text.split(",").filter((name) => name !== "") };
}

/** `NETDEV_XDP_ACT_*` by interface index; undefined before Linux 6.3, which cannot be asked. */
export type XdpFeatures = ReadonlyMap<number, number> | undefined;

/** What the drivers of this namespace's interfaces can. */
export function xdpFeatures(): XdpFeatures {
  const family = GenericNetlink.open(NETDEV.name, NETDEV.version);
  if (!family) return undefined;
  try {
    const found = new Map<number, number>();
    family.dump(NETDEV.DEV_GET, undefined, (a) => {
      const bytes = a.bytes(NETDEV.XDP_FEATURES);
      if (bytes) found.set(a.u32(NETDEV.IFINDEX) ?? 0, bytes[LITTLE_ENDIAN ? 0 : bytes.length - 1]!);
    });
    return found;
  } finally {
    family.close();
  }
}

/** Whether XDP is to be tried on an interface that has no XDP program of ours, and whether a refusal counts. */
export function wantsXdp(one: Interface, wish: XdpWish, features: XdpFeatures): "yes" | "if possible" | "no" {
  if (wish.kind === "named") return wish.names.includes(one.name) ? "yes" : "no";
  if (one.kind !== "" || one.loopback || one.headerless || !CARDS.includes(one.bus)) return "no";
  const able = features?.get(one.index);
  return able === undefined || able & BASIC ? "if possible" : "no";
}

/** @throws UnsupportedError for names that XDP cannot be on */
export function checkNames(
  wish: XdpWish,
  all: readonly Interface[],
  covered: (one: Interface) => boolean,
): void {
  if (wish.kind !== "named") return;
  for (const name of wish.names) {
    const one = all.find((other) => other.name === name);
    const problem = !one
      ? "there is no such interface here"
      : one.loopback || one.headerless
        ? "its packets have no Ethernet header"
        : covered(one)
          ? "it is a port of a bridge or bond, where its packets are seen"
          : undefined;
    if (problem) throw new UnsupportedError(`LVSD_XDP: XDP on ${name}: ${problem}; without it TC is used`);
  }
}

/**
 * Tells the XDP program where it may send to: interfaces whose drivers take frames from XDP; before Linux 6.3, those that have XDP
 * programs of ours. Without any XDP program nobody asks.
 * @param hooked indexes of interfaces with XDP programs of ours
 */
export function writeOutlets(paths: EbpfPaths, hooked: readonly number[], features: XdpFeatures): void {
  const map = BpfMap.open(`${paths.pins}/maps/outlets`);
  if (!map) return;
  try {
    const able = features
      ? [...features].filter(([, bits]) => bits & NDO_XMIT).map(([index]) => index)
      : hooked;
    const wanted = new Set(hooked.length === 0 ? [] : able);
    for (const index of [...outletsOf(map)]) if (!wanted.has(index)) map.delete(word(index));
    const there = new Set(outletsOf(map));
    for (const index of wanted) if (!there.has(index)) map.updateIndex(index, word(index));
  } finally {
    map.close();
  }
}

/** Keys of the map. It is walked, since this kind of map knows no batches. */
function outletsOf(map: BpfMap): number[] {
  return map.keys().map((key) => new DataView(key.buffer).getUint32(0, LITTLE_ENDIAN));
}

function word(n: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n, LITTLE_ENDIAN);
  return bytes;
}
