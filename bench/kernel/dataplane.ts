import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { compilePackets } from "../dataplane/compile.ts";
import { pin } from "../dataplane/cpu.ts";
import { PacketCases } from "../dataplane/packet-cases.ts";
import { inRounds } from "../dataplane/rounds.ts";
import { Wires } from "../dataplane/wires.ts";
import { bootGuest } from "../parts/guest.ts";

/** At least so many times as fast as ip_vs by the same method. */
const AIMS = {
  "TC NAT": 1.25,
  "TC DR": 1.1,
  "XDP NAT": 6,
  "XDP DR": 6,
  "new connections, XDP NAT": 6,
  "new connections, XDP DR": 6,
};
const ROUNDS = 9;
/** This program, a bundle in dist/ beside the commands. */
const program = import.meta.filename;
const dist = dirname(program);

/** In the guest: measures, and prints a line of JSON for each ratio. */
function measure(object: string): void {
  pin();
  const wires = new Wires(readFileSync(object));
  try {
    const cases = new PacketCases(wires, {
      packets: 8192,
      openings: 4096,
      connections: [],
      services: [],
      servers: [],
    });
    const all = [
      ...cases.baselines(),
      ...cases.ipVs(),
      ...cases.ebpf(
        AIMS,
        (method, opening) => `${opening ? "new connections, " : ""}ip_vs ${method.toUpperCase()}`,
      ),
    ];
    inRounds(all, ROUNDS, (cost) => `${(cost / 1000).toFixed(1)} us a packet, emulated`);
  } finally {
    wires.close();
  }
}

if (process.argv[2] === "guest") measure(process.argv[3] ?? "");
else
  bootGuest({
    program,
    timeoutS: 900,
    prepare: (folder) => {
      const object = join(folder, "packets.bpf.o");
      writeFileSync(object, compilePackets(join(dist, "../bench/dataplane/packets.bpf.c")));
      return [object];
    },
  });
