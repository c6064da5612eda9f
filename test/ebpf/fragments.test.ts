/**
 * Fragments, which the programs send on one by one, against the model, which joins them first: the receiver gets the same packet.
 */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { serviceSpec } from "../../src/core/table.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { seeded } from "../../src/testkit/random.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const ENDS = {
  4: { vip: "10.9.0.1", client: "10.1.0.2", server: "10.2.0.11" },
  6: { vip: "2001:db8:9::1", client: "2001:db8:1::2", server: "2001:db8:2::11" },
} as const;
const DATAGRAMS = 40;

/** Where a payload of `length` bytes is cut: at multiples of eight. */
function cuts(length: number, random: () => number): number[] {
  const all = [0];
  for (let at = 0; ; ) {
    at += 8 * (1 + Math.floor(random() * 150));
    if (at >= length) return [...all, length];
    all.push(at);
  }
}

for (const family of [4, 6] as const) {
  for (const method of ["nat", "dr"] as const) {
    test.runIf(root)(
      `IPv${family}, ${method}: fragments in order become what the whole packet becomes`,
      () => {
        const { vip, client, server } = ENDS[family];
        const twins = new Twins([vip]);
        const random = seeded(3);
        const end = (address: string, port: number) =>
          family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
        try {
          twins.mtu(9000);
          for (const protocol of ["tcp", "udp"] as const) {
            const id = { kind: "address", family, protocol, address: vip, port: 53 } as const;
            twins.addService(serviceSpec(id, { scheduler: "rr" }));
            twins.addDestination(id, destination(server, { method, port: method === "nat" ? 5353 : 53 }));
          }
          for (let n = 0; n < DATAGRAMS; n++) {
            const tcp = random() < 0.5;
            const back = method === "nat" && n > 4 && random() < 0.4;
            const length = 100 + Math.floor(random() * 3000);
            const from = end(client, 4000 + (n % 2));
            const ends = back ? `${end(server, 5353)} > ${from}` : `${from} > ${end(vip, 53)}`;
            const note = `${tcp ? "tcp" : "udp"} ${ends} ${tcp ? "S " : ""}len=${length} ttl=64`;
            const fragmented = `${note} ${family === 4 ? "id" : "fragid"}=${n + 1}`;
            const at = cuts(length + (tcp ? 20 : 8), random);
            if (at.length === 2) continue;
            const parts = at
              .slice(1)
              .map((to, i) => buildPacket(parseNote(`${fragmented} cut=${at[i]}-${to}`)));
            const whole = buildPacket(parseNote(family === 4 ? fragmented : note));
            const difference = twins.showFragments(whole, parts, back ? "through" : "in");
            expect(difference && `${fragmented} cut at ${at}\n${difference}`).toBeUndefined();
          }
          expect(twins.programConnections()).toHaveLength(4);
        } finally {
          twins.close();
        }
      },
      60_000,
    );
  }
}
