import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inNetns, namedNetns } from "../../sys/netns.ts";
import type { CheckSpec, CheckTarget, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

const netns = `lv${process.pid}xorigin`;
const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "pipe" });
const nft = (...words: string[]): string =>
  execFileSync("ip", ["netns", "exec", netns, "nft", ...words], { encoding: "utf8" });

/** Packets that left with firewall mark 77. */
const marked = (): number => Number(/packets (\d+)/.exec(nft("list", "counter", "inet", "t", "c"))?.[1]);

describe.skipIf(process.getuid?.() !== 0)(
  "every kind sends its packets with the mark and from the address it is told",
  () => {
    beforeAll(() => {
      ip("netns", "add", netns);
      ip("-n", netns, "link", "set", "lo", "up");
      ip("-n", netns, "addr", "add", "192.0.2.1/32", "dev", "lo");
      ip("-n", netns, "addr", "add", "192.0.2.7/32", "dev", "lo");
      ip("-n", netns, "-6", "addr", "add", "2001:db8::1/128", "dev", "lo", "nodad");
      ip("-n", netns, "-6", "addr", "add", "2001:db8::7/128", "dev", "lo", "nodad");
      nft(
        "add table inet t; add counter inet t c; add chain inet t o { type filter hook output priority 0; }",
      );
      nft("add rule inet t o meta mark 77 ip saddr 192.0.2.7 counter name c");
      nft("add rule inet t o meta mark 77 ip6 saddr 2001:db8::7 counter name c");
    });
    afterAll(() => ip("netns", "del", netns));

    const specs = (target: CheckTarget): readonly CheckSpec[] => {
      const common = { target, timeoutMs: 10_000 };
      const login = { login: "u", password: "p" };
      return [
        { ...common, kind: "tcp" },
        {
          ...common,
          kind: "http",
          tls: true,
          version: "1.0",
          method: "GET",
          urls: [{ path: "/", statusCodes: [] }],
        },
        { ...common, kind: "smtp", helo: "x" },
        { ...common, kind: "dns", name: "x", type: "A" },
        { ...common, kind: "udp" },
        { ...common, kind: "dialogue", protocol: "pop", tls: false, ...login, request: "" },
        { ...common, kind: "ldap", tls: false, ...login, base: "" },
        { ...common, kind: "radius", ...login, secret: "s" },
        { ...common, kind: "sql", engine: "mysql", ...login, database: "", query: "select 1" },
        { ...common, kind: "sip", login: "x@y", transport: "udp" },
      ];
    };
    /** Sockets belong to the namespace that this thread was in when they were opened: at once, for those with a mark. */
    const check = (spec: CheckSpec): Promise<Verdict> =>
      inNetns(namedNetns(netns), () => createChecker(spec).check(new AbortController().signal));

    it.each([4, 6] as const)("over IPv%i", async (family) => {
      const [address, bindAddress] =
        family === 4 ? ["192.0.2.1", "192.0.2.7"] : ["2001:db8::1", "2001:db8::7"];
      const target = { family, address, port: 4711, bindAddress, fwmark: 77 };
      for (const spec of specs(target)) {
        const before = marked();
        expect(await check(spec), spec.kind).toMatchObject({ ok: false, reason: "refused" });
        expect(marked(), spec.kind).toBeGreaterThan(before);
      }
      const before = marked();
      expect(await check({ kind: "ping", target: { ...target, port: 0 }, timeoutMs: 10_000 })).toMatchObject({
        ok: true,
      });
      expect(marked()).toBeGreaterThan(before);
    });

    it("and a host without a route is unreachable at once", async () => {
      const target = { family: 4, address: "203.0.113.1", port: 80, fwmark: 1 } as const;
      for (const spec of [...specs(target), { kind: "ping", target, timeoutMs: 10_000 } as const])
        expect(await check(spec), spec.kind).toMatchObject({
          ok: false,
          reason: "unreachable",
          detail: "network is unreachable",
        });
    });

    it("through ping sockets too, where the kernel allows them", async () => {
      execFileSync("ip", ["netns", "exec", netns, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"]);
      for (const [family, address] of [
        [4, "192.0.2.1"],
        [6, "2001:db8::1"],
      ] as const)
        expect(
          await check({ kind: "ping", target: { family, address, port: 0 }, timeoutMs: 10_000 }),
        ).toMatchObject({ ok: true });
    });
  },
);
