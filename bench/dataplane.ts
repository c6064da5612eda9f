/**
 * The eBPF plane in the kernel of this machine, as ratios to plain forwarding: processor time of packets through directors that
 * differ in nothing but how they forward, then of TCP through proxies and directors. docs/ebpf.md tells how to read it.
 *
 *     npm run bench:dataplane [-- --quick]
 */
import { join } from "node:path";
import { compilePackets } from "./dataplane/compile.ts";
import { pin } from "./dataplane/cpu.ts";
import { FORWARDING, PacketCases } from "./dataplane/packet-cases.ts";
import { inRounds, type Result } from "./dataplane/rounds.ts";
import { Streams, type Way } from "./dataplane/streams.ts";
import { Wires } from "./dataplane/wires.ts";

const quick = process.argv.includes("--quick");
const AIMS = {
  "TC NAT": 1,
  "TC DR": 1.1,
  "XDP NAT": 2.3,
  "XDP DR": 2.3,
  "new connections, XDP NAT": 0.9,
  "new connections, XDP DR": 1.2,
};
/** 100,000 connections against 1,000. */
const GROWTH_AIM = 1.7;
/** wlc with so many servers against rr. */
const SERVERS_AIM = { 64: 0.8, 1024: 0.2 };
/** New connections a second beside HAProxy's. */
const HAPROXY_AIM = 1.8;

function packets(): void {
  const object = compilePackets(join(import.meta.dirname, "../bench/dataplane/packets.bpf.c"));
  const wires = new Wires(object);
  try {
    const cases = new PacketCases(wires, {
      packets: quick ? 32768 : 65536,
      openings: 16384,
      connections: quick ? [1000, 100_000] : [1000, 100_000, 1_000_000],
      services: quick ? [1, 1000] : [1, 1000, 10_000],
      servers: [4, 64, 1024],
    });
    const ns = (cost: number): string => `${Math.round(cost)} ns a packet`;
    const all = [
      ...cases.baselines(),
      ...cases.ebpf(AIMS, () => FORWARDING),
      ...cases.nftables(),
      ...cases.connections(GROWTH_AIM),
      ...cases.services(),
      ...cases.servers(SERVERS_AIM),
    ];
    inRounds(all, quick ? 3 : 7, ns);
  } finally {
    wires.close();
  }
}

/** TCP: processor time of a request, a connection, a kilobyte, with client, server and proxy on one processor. */
async function streams(): Promise<void> {
  const ways: Way[] = quick
    ? ["plain forwarding", "eBPF NAT", "HAProxy"]
    : ["plain forwarding", "eBPF NAT", "eBPF DR", "nftables DNAT", "HAProxy"];
  const network = new Streams(ways, 1);
  try {
    await network.up();
    const rounds = quick ? 2 : 5;
    const us = (what: string) => (cost: number) => `${(cost / 1000).toFixed(1)} us a ${what}`;
    inRounds(network.cases("keep-alive HTTP", { "eBPF NAT": 0.95, "eBPF DR": 0.95 }), rounds, us("request"));
    const opened = inRounds(
      network.cases("new connections, HTTP", { "eBPF NAT": 0.9, "eBPF DR": 0.9 }),
      rounds,
      us("connection"),
    );
    beside(opened);
    const bulk = network.cases("bulk TCP", { "eBPF NAT": 0.95, "eBPF DR": 0.95 });
    inRounds(bulk, rounds, (cost) => `${cost.toFixed(0)} ns a kilobyte`);
  } finally {
    network.close();
  }
}

/** Connections a second of processor time beside HAProxy's. */
function beside(results: readonly Result[]): void {
  const of = (way: Way): Result | undefined => results.find(({ name }) => name.endsWith(way));
  const [ours, proxy] = [of("eBPF NAT"), of("HAProxy")];
  if (!ours || !proxy) return;
  const ratio = proxy.cost / ours.cost;
  const note = `aim ${HAPROXY_AIM}: ${ratio >= HAPROXY_AIM ? "reached" : "MISSED"}`;
  console.log(
    JSON.stringify({ name: "new connections, HTTP, eBPF NAT", value: ratio, unit: "x HAProxy", note }),
  );
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.log("dataplane: left out: it makes network namespaces, which needs root");
    return;
  }
  pin();
  packets();
  await streams();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
