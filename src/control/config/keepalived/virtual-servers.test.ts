import { describe, expect, it } from "vitest";
import { around, codes, reading } from "./testing.ts";

const servers = (text: string) => reading(text).wanted.virtualServers;
const one = (text: string) => servers(text)[0];

describe("what a virtual_server answers to", () => {
  it("is an address and a port, of either family", () => {
    expect(one(around("")).ids).toEqual([
      { kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 },
    ]);
    const v6 =
      "virtual_server 2001:DB8::0:1 53 {\nprotocol UDP\nlb_algo rr\nlb_kind NAT\nreal_server fd00::1 53 {\n}\n}\n";
    expect(one(v6)).toMatchObject({ name: "[2001:db8::1]:udp:53", ids: [{ family: 6, protocol: "udp" }] });
  });

  it("is a mark, with the family of its servers", () => {
    const text = (ip: string) =>
      `virtual_server fwmark 9 {\nlb_algo rr\nlb_kind DR\nreal_server ${ip} {\n}\n}\n`;
    expect(one(text("10.0.0.2"))).toMatchObject({
      name: "FWM 9",
      ids: [{ kind: "fwmark", family: 4, fwmark: 9 }],
    });
    expect(one(text("fd00::2")).ids).toEqual([{ kind: "fwmark", family: 6, fwmark: 9 }]);
  });

  it("is every member of its group", () => {
    const group =
      "virtual_server_group G {\n10.0.0.1 80\n10.0.0.5-7 443\n10.0.1.0/30 90\n10.0.2.1-10.0.2.2 91\nfwmark 3\n}\n";
    const use =
      "virtual_server group G {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.9.0.1 80 {\n}\n}\n";
    const [first, second] = servers(group + use + use);
    const ids = first.ids.map((id) =>
      id.kind === "fwmark" ? `mark ${id.fwmark}` : `${id.address}:${id.port}`,
    );
    expect(ids).toEqual([
      "10.0.0.1:80",
      ...[5, 6, 7].map((n) => `10.0.0.${n}:443`),
      ...[0, 1, 2, 3].map((n) => `10.0.1.${n}:90`),
      ...[1, 2].map((n) => `10.0.2.${n}:91`),
      "mark 3",
    ]);
    expect([first.name, second.name]).toEqual(["[G]:0", "[G]:1"]);
  });

  it("must exist: an unknown group is told, which keepalived -t does not", () => {
    const read = reading("virtual_server group NONE {\nreal_server 10.0.0.2 80 {\n}\n}\n");
    expect(codes(read)).toEqual(["1:22 error undefined-reference"]);
    expect(read.said).toEqual([]);
  });
});

describe("keywords of a virtual_server", () => {
  it("become the service", () => {
    const text = around(
      "",
      "",
      "lb_algo sh\nsh-port\nflag-3\npersistence_timeout 50\npersistence_granularity 255.255.255.0\npersistence_engine sip",
    );
    expect(one(text).service).toEqual({
      scheduler: "sh",
      schedFlags: 6,
      persistent: true,
      timeoutS: 50,
      netmask: 0xffffff00,
      engine: "sip",
      onePacket: false,
    });
    expect(one(around("", "", "persistence_timeout")).service.timeoutS).toBe(360);
    expect(one(around("", "", "persistence_granularity 24")).service).toMatchObject({
      persistent: true,
      timeoutS: 360,
      netmask: 0xffffff00,
    });
  });

  it("become forwarding methods and tunnels", () => {
    const method = (words: string) => one(around("", `lvs_method ${words}`)).servers[0];
    expect(method("DR").method).toBe("dr");
    expect(method("TUN").tunnel).toEqual({ type: "ipip", port: 0, checksum: "none" });
    expect(method("TUN type gue port 6080 csum").tunnel).toEqual({
      type: "gue",
      port: 6080,
      checksum: "csum",
    });
    expect(method("TUN type gre csum").tunnel).toEqual({ type: "gre", port: 0, checksum: "csum" });
  });

  it("become the sorry server, quorum and scripts", () => {
    const text = around(
      "",
      "notify_up \"/bin/true a 'b c'\" web www\nweight 5",
      "sorry_server 10.0.9.9 81\nsorry_server_inhibit\nsorry_server_lvs_method DR\nquorum 3\nhysteresis 1\nquorum_up /bin/true\nomega\nha_suspend",
    );
    expect(one(text)).toMatchObject({
      sorry: { id: { address: "10.0.9.9", port: 80 }, method: "dr", inhibit: true },
      quorum: 3,
      hysteresis: 1,
      quorumUp: { command: ["/bin/true"] },
      omega: true,
      haSuspend: true,
    });
    expect(one(text).servers[0].notifyUp).toEqual({
      command: ["/bin/true", "a", "b c"],
      user: "web",
      group: "www",
    });
  });

  it("are inherited by real servers and checkers wherever they stand", () => {
    const text = `virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.1.1 80 {\nretry 7\nTCP_CHECK {\nwarmup 2.5\n}\n}\ndelay_loop 0.5\nweight 9\ninhibit_on_failure\nalpha\nconnect_timeout 2\n}\n`;
    const [server] = one(text).servers;
    expect(server).toMatchObject({ weight: 9, inhibitOnFailure: true });
    expect(server.checks[0]).toMatchObject({
      alpha: true,
      spec: { timeoutMs: 2000 },
      timing: {
        delayLoopMs: 500,
        retry: 7,
        delayBeforeRetryMs: 1000,
        warmupMs: 2500,
        firstFailureCounts: true,
      },
    });
  });
});

describe("checks after reading", () => {
  // Lines after the head, what is said, and what the service is then.
  it.each([
    ["protocol UDP\nops", "", "", { service: { onePacket: true } }],
    ["ops", "ops-needs-udp", "", { service: { onePacket: false } }],
    ["quorum 9", "quorum-too-high", "", { quorum: 1 }],
    ["hysteresis 1", "hysteresis-too-high", "", { hysteresis: 0 }],
    ["lb_kind DR", "port-mismatch", "", { servers: [{ id: { port: 80 } }] }],
    [
      "lb_kind DR\nsorry_server 10.9.9.9 81",
      "port-mismatch sorry-port-mismatch",
      "",
      { sorry: { id: { port: 80 } } },
    ],
    ["", "duplicate-real-server", "real_server 10.0.1.1 8080 {\n}", { servers: [{ id: { port: 8080 } }] }],
    ["", "family-mismatch", "real_server fd00::1 80 {\n}", { servers: [{ id: { family: 4 } }] }],
    ["sorry_server fd00::1 80", "family-mismatch", "", {}],
  ])("%j: %s", (lines, expected, more, result) => {
    const text = `virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n${lines}\nreal_server 10.0.1.1 8080 {\n}\n${more}\n}\n`;
    const read = reading(text);
    expect(
      read.diagnostics
        .map(({ code }) => code)
        .sort()
        .join(" "),
    ).toBe(expected);
    expect(read.wanted.virtualServers).toMatchObject([result]);
    expect(read.said.length).toBe(read.diagnostics.length);
  });

  it("a service for all ports is made persistent, one without servers is left out, defaults are told", () => {
    const all =
      "virtual_server 10.0.0.1 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.1.1 {\n}\n}\n";
    expect(one(all).service.timeoutS).toBe(360);
    expect(codes(reading("virtual_server 10.0.0.1 80 {\n}\n"))).toEqual(["1:1 error no-real-servers"]);
    const bare = reading("virtual_server 10.0.0.1 80 {\nreal_server 10.0.1.1 80 {\n}\n}\n");
    expect(bare.diagnostics.map(({ code }) => code)).toEqual([
      "protocol-missing",
      "scheduler-missing",
      "forwarding-missing",
    ]);
    expect(bare.wanted.virtualServers[0]).toMatchObject({
      name: "[10.0.0.1]:udp:80",
      service: { scheduler: "wlc" },
    });
  });

  it("a mark has no port with DR and no protocol", () => {
    const text =
      "virtual_server fwmark 9 {\nlb_algo rr\nlb_kind DR\nprotocol TCP\nreal_server 10.0.1.1 80 {\nTCP_CHECK {\n}\n}\n}\n";
    const read = reading(text);
    expect(read.diagnostics.map(({ code }) => code).sort()).toEqual(["port-on-fwmark", "protocol-on-fwmark"]);
    const [server] = read.wanted.virtualServers[0].servers;
    expect(server.id.port).toBe(0);
    // The check still goes to the port that is written.
    expect(server.checks[0].spec.target.port).toBe(80);
  });
});

describe("messages", () => {
  it("name the nearest known word, the right block, or the manual's notation", () => {
    const { diagnostics } = reading(
      around("", "wieght 3\nlb_algo rr", "protocoll TCP\n(@IP PORT)|(fwmark num) x"),
    );
    expect(diagnostics.map(({ message, remedy }) => `${message.split(";")[0]}: ${remedy}`)).toEqual([
      "protocoll is unknown in virtual_server: the nearest known word here is protocol",
      "(@IP is unknown in virtual_server: this is the notation of a manual, not a word: choose one of the words it offers",
      "wieght is unknown in real_server: the nearest known word here is weight",
      "lb_algo is unknown in real_server: lb_algo belongs into virtual_server",
    ]);
  });

  it("tell of words that are not used", () => {
    const read = reading(around("", "weight 3 priority 77"));
    expect(read.diagnostics).toMatchObject([{ code: "surplus-words", at: { line: 7, column: 10 } }]);
    expect(read.wanted.virtualServers[0].servers[0].weight).toBe(3);
    // keepalived -t is silent about them.
    expect(read.said).toEqual([]);
  });

  it("skip an unknown block as a whole, and go on after it", () => {
    const read = reading(around("FOO_CHECK {\nweight 99\n}\n", "weight 3"));
    expect(codes(read)).toEqual(["8:1 warning unknown-block"]);
    expect(read.wanted.virtualServers[0].servers[0].weight).toBe(3);
  });

  it("read a method in small letters as it is meant, and say that keepalived does not", () => {
    const read = reading(around("", "", "lb_kind dr").replace("8080", "80"));
    expect(codes(read)).toEqual(["5:9 warning letter-case"]);
    expect(read.wanted.virtualServers[0].servers[0].method).toBe("dr");
  });

  it("a word that is missing is an error, and ends keepalived -t with 2", () => {
    const read = reading(around("", "weight"));
    expect(codes(read)).toEqual(["7:1 error missing-parameter"]);
    expect(read.said.at(-1)?.status).toBe(2);
  });
});
