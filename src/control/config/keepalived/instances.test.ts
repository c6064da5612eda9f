import { describe, expect, it } from "vitest";
import type { VrrpInstanceSpec } from "../../vrrp/spec.ts";
import { codes, reading } from "./testing.ts";

const block = (lines: string, name = "VI", id = 51) =>
  `vrrp_instance ${name} {\ninterface eth0\nvirtual_router_id ${id}\nvirtual_ipaddress {\n10.0.0.100/24\n}\n${lines}\n}\n`;
const instance = (lines: string, before = ""): VrrpInstanceSpec =>
  reading(before + block(lines)).wanted.vrrp.instances[0];

describe("a vrrp_instance", () => {
  it("has keepalived's defaults", () => {
    expect(instance("")).toMatchObject({
      name: "VI",
      family: 4,
      initial: "backup",
      interface: "eth0",
      routerId: 51,
      priority: 100,
      version: 2,
      advertIntMs: 1000,
      group: "224.0.0.18",
      peers: [],
      unicastTtl: 255,
      preempt: true,
      preemptDelayMs: 0,
      accept: true,
      strict: false,
      downTimerAdverts: 3,
      announce: {
        delayMs: 5000,
        repeat: 5,
        refreshMs: 0,
        refreshRepeat: 1,
        lowerPrioDelayMs: 5000,
        lowerPrioRepeat: 5,
      },
    });
  });

  it("takes the defaults of global_defs, and its own before them", () => {
    const global =
      "global_defs {\nvrrp_version 3\nvrrp_garp_master_delay 2\nvrrp_garp_master_repeat 3\nvrrp_mcast_group4 224.0.0.99\nvrrp_down_timer_adverts 4\n}\n";
    expect(instance("garp_master_repeat 1\nadvert_int 0.25", global)).toMatchObject({
      version: 3,
      advertIntMs: 250,
      group: "224.0.0.99",
      downTimerAdverts: 4,
      announce: { delayMs: 2000, repeat: 1, lowerPrioDelayMs: 2000, lowerPrioRepeat: 1 },
    });
  });

  it("reads extra announcements: its own before the global ones, 0 for none", () => {
    const global = "global_defs {\nvrrp_garp_extra_if all 100\n}\n";
    const extra = (lines: string, before = "") => instance(lines, before).announce.extra;
    expect(extra("")).toBeUndefined();
    expect(extra("", global)).toEqual({ everyMs: 100_000, all: true });
    expect(extra("garp_extra_if 30", global)).toEqual({ everyMs: 30_000, all: false });
    expect(extra("garp_extra_if 0", global)).toBeUndefined();
    expect(codes(reading(block("garp_extra_if all")))).toEqual(["7:1 error bad-number"]);
  });

  it("says of what it does not know to do that it has no effect", () => {
    for (const line of ["use_ipvlan", "vrf red", "track_bfd {\nx\n}"]) {
      const { diagnostics } = reading(block(line));
      expect(diagnostics.map((d) => `${d.code} ${d.severity}`)).toEqual(["no-effect notice"]);
    }
  });

  it("reads addresses with all their words", () => {
    const lines =
      "virtual_ipaddress_excluded {\nfd00::1/64 dev eth1 -nodad no_track\n10.1.1.1/24 brd + scope link label eth0:x peer 10.1.1.2 preferred_lft 60 home\n}";
    const [six, four] = instance(lines).excluded;
    expect(six).toMatchObject({ family: 6, prefix: 64, device: "eth1", flags: ["nodad"], noTrack: true });
    expect(four).toMatchObject({
      prefix: 24,
      device: "eth0",
      broadcast: "+",
      scope: 253,
      label: "eth0:x",
      peer: "10.1.1.2",
      preferredLifetimeS: 60,
      flags: ["home"],
    });
  });

  it("reads routes and rules in the words of ip(8)", () => {
    const lines =
      "virtual_routes {\n10.1.0.0/16 gw 10.0.0.1 dev eth0 metric 5 mtu lock 1400\nblackhole 10.9.0.0/16\ndefault via fe80::1 dev eth0 no_track\n10.3.0.0/16 nexthop via 10.0.0.2 weight 1 nexthop via 10.0.0.3\n}\nvirtual_rules {\nfrom 10.0.0.0/24 table 7 priority 9\nto fd00::/8 table main\n}";
    const { routes, rules } = instance(lines);
    expect(routes.map(({ family, words }) => `${family} ${words.join(" ")}`)).toEqual([
      "4 10.1.0.0/16 via 10.0.0.1 dev eth0 metric 5 mtu lock 1400",
      "4 blackhole 10.9.0.0/16",
      "6 default via fe80::1 dev eth0",
      "4 10.3.0.0/16 nexthop via 10.0.0.2 weight 1 nexthop via 10.0.0.3",
    ]);
    expect(routes[2].noTrack).toBe(true);
    expect(rules.map(({ family, words }) => `${family} ${words.join(" ")}`)).toEqual([
      "4 from 10.0.0.0/24 table 7 preference 9",
      "6 to fd00::/8 table main",
    ]);
  });

  it("reads unicast, tracking and notify programs", () => {
    const before =
      'vrrp_script chk {\nscript "/bin/check a"\ninterval 2\nweight -20\nrise 2\nfall 3\nuser web\n}\ntrack_file f {\nfile /f\nweight 2\ninit_file 5 overwrite\n}\nvrrp_track_process p {\nprocess nginx\nquorum 2\ndelay 1.5\n}\n';
    const lines =
      'unicast_src_ip 10.0.0.1\nunicast_peer {\n10.0.0.2 min_ttl 250\n10.0.0.3\n}\ntrack_interface {\neth1 weight 10\neth2\n}\ntrack_script {\nchk\n}\ntrack_file {\nf weight 5\n}\ntrack_process {\np\n}\nnotify_master "/bin/true up"\nnotify /bin/true web\nuse_vmac vrrp.1 00:00:5e:00:01:33\nnopreempt\nno_accept';
    const read = reading(before + block(lines)).wanted.vrrp;
    expect(read.instances[0]).toMatchObject({
      sourceAddress: "10.0.0.1",
      peers: [{ address: "10.0.0.2", minTtl: 250 }, { address: "10.0.0.3" }],
      trackInterfaces: [
        { name: "eth1", weight: 10 },
        { name: "eth2", weight: 0 },
      ],
      trackScripts: [{ name: "chk", weight: -20, reverse: false }],
      trackFiles: [{ name: "f", weight: 5 }],
      trackProcesses: [{ name: "p", weight: 1 }],
      notify: { master: { command: ["/bin/true", "up"] }, any: { command: ["/bin/true"], user: "web" } },
      vmac: { name: "vrrp.1", mac: "00:00:5e:00:01:33" },
      preempt: false,
      accept: false,
    });
    expect(read.scripts).toMatchObject([
      {
        name: "chk",
        intervalMs: 2000,
        timeoutMs: 2000,
        weight: -20,
        rise: 2,
        fall: 3,
        script: { user: "web" },
      },
    ]);
    expect(read.files).toMatchObject([{ path: "/f", weight: 2, init: { value: 5, overwrite: true } }]);
    expect(read.processes).toMatchObject([{ command: ["nginx"], match: "name", quorum: 2, delayMs: 1500 }]);
  });

  it("of IPv6 addresses has version 3 and the other group", () => {
    const text =
      "vrrp_instance V6 {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\nfe80::5/64\n2001:db8::5\n}\n}\n";
    const { wanted, diagnostics } = reading(text);
    expect(wanted.vrrp.instances[0]).toMatchObject({ family: 6, version: 3, group: "ff02::12" });
    expect(wanted.vrrp.instances[0].addresses.map(({ prefix }) => prefix)).toEqual([64, 128]);
    expect(diagnostics).toEqual([]);
  });
});

describe("what does not fit together is told and put right", () => {
  it.each([
    ["state MASTER\npriority 150\nnopreempt", "nopreempt-with-master", { preempt: true }],
    ["state MASTER\npriority 150\npreempt_delay 5", "preempt-delay-with-master", { preemptDelayMs: 0 }],
    ["priority 255\nnopreempt", "nopreempt-with-owner", { preempt: true, initial: "master" }],
    ["advert_int 1.5", "advert-int-rounded", { advertIntMs: 2000 }],
    ["version 3\nadvert_int 0.333", "advert-int-rounded", { advertIntMs: 330 }],
    ["version 3\nadvert_int 50", "advert-int-rounded", { advertIntMs: 40950 }],
    ["version 3\nauthentication {\nauth_type PASS\nauth_pass x\n}", "auth-with-v3", {}],
    ["authentication {\nauth_type PASS\n}", "auth-without-password", {}],
    [
      "authentication {\nauth_type AH\nauth_pass 123456789\n}",
      "password-truncated",
      { auth: { type: "ah", password: "12345678" } },
    ],
    ["unicast_peer {\n}", "unicast-without-peers", { peers: [] }],
    ["unicast_fault_no_peer\nunicast_peer {\n}", "unicast-without-peers", { faultWithoutPeers: true }],
    ["garp_master_repeat 0", "value-raised-to-minimum", { announce: { repeat: 1 } }],
    ["strict_mode\npreempt_delay 5", "strict", { preemptDelayMs: 0, accept: false }],
    ["priority 0", "bad-number", { priority: 100 }],
    ["state FOO", "bad-value", { initial: "backup" }],
    ["colour blue", "unknown-keyword", {}],
  ])("%j: %s", (lines, code, result) => {
    const read = reading(block(lines));
    expect(read.diagnostics.map((each) => each.code)).toEqual([code]);
    expect(read.wanted.vrrp.instances).toMatchObject([result]);
    expect(read.said.length).toBeGreaterThan(0);
  });

  it("an instance that cannot run is left out with its reason", () => {
    expect(codes(reading("vrrp_instance A {\ninterface eth0\n}\n"))).toEqual(["1:1 error vrid-missing"]);
    expect(codes(reading("vrrp_instance A {\nvirtual_router_id 1\n}\n"))).toEqual([
      "1:1 error interface-missing",
    ]);
    expect(codes(reading(block("version 3").replace("10.0.0.100/24", "")))).toEqual([
      "1:1 error vip-missing-fatal",
    ]);
    const twice = reading(block("", "A") + block("", "B"));
    expect(twice.diagnostics.map(({ code }) => code)).toEqual(["vrid-conflict"]);
    expect(twice.wanted.vrrp.instances.map(({ name }) => name)).toEqual(["A"]);
  });

  it("references to nothing are told", () => {
    const read = reading(block("track_script {\nnone\n}\ntrack_file {\nnone\n}"));
    expect(codes(read)).toEqual(["8:1 error undefined-reference", "11:1 error undefined-reference"]);
  });

  it("a script that nobody tracks is told, which keepalived -t does not", () => {
    const read = reading("vrrp_script s {\nscript /bin/true\n}\n");
    expect(read.diagnostics.map(({ code }) => code)).toContain("unused-script");
    expect(read.said.map(({ code }) => code)).not.toContain("unused-script");
  });

  it("interfaces are checked only against facts, and not with dynamic_interfaces", () => {
    const interfaces = new Set(["lo"]);
    expect(codes(reading(block("")))).toEqual([]);
    expect(codes(reading(block(""), { interfaces }))).toEqual(["2:11 error no-such-interface"]);
    expect(codes(reading(`global_defs {\ndynamic_interfaces\n}\n${block("")}`, { interfaces }))).toEqual([]);
  });
});

describe("vrrp_sync_group", () => {
  const members = block("", "A", 1) + block("", "B", 2);

  it.each(["group { A B }", "group {\nA\nB\n}", "group {\nA B\n}", "group\n{ A\nB }"])(
    "reads %j",
    (group) => {
      const { wanted, diagnostics } = reading(
        `${members}vrrp_sync_group G {\n${group}\nnotify_fault /bin/true\nsync_group_tracking_weight\n}\n`,
      );
      expect(wanted.vrrp.groups).toMatchObject([{ name: "G", members: ["A", "B"], trackingWeight: true }]);
      expect(diagnostics.filter(({ severity }) => severity !== "notice")).toEqual([]);
    },
  );

  it("tells of unknown members, of members of two groups, and of groups of one or none", () => {
    const read = reading(
      `${members}vrrp_sync_group G {\ngroup { A Z }\n}\nvrrp_sync_group H {\ngroup { A }\n}\n`,
    );
    expect(read.diagnostics.map(({ code }) => code)).toEqual([
      "single-member-group",
      "undefined-reference",
      "empty-sync-group",
      "undefined-reference",
    ]);
    expect(read.wanted.vrrp.groups.map(({ name }) => name)).toEqual(["G"]);
  });
});

it("static addresses, routes, rules, link delays and garp groups are read", () => {
  const text =
    "static_ipaddress {\n10.5.0.1/24 dev eth3\n}\nstatic_routes {\n10.6.0.0/16 via 10.5.0.2\n}\nstatic_rules {\nfrom 10.5.0.0/24 table 5\n}\ninterface_up_down_delays {\neth0 2\neth1 1 3\n}\ngarp_group {\ngarp_interval 0.1\ninterfaces {\neth0\n}\n}\n";
  const { wanted, diagnostics } = reading(text + block(""));
  expect(diagnostics).toEqual([]);
  expect(wanted.vrrp).toMatchObject({
    staticAddresses: [{ address: "10.5.0.1", device: "eth3" }],
    staticRoutes: [{ words: ["10.6.0.0/16", "via", "10.5.0.2"] }],
    staticRules: [{ words: ["from", "10.5.0.0/24", "table", "5"] }],
    linkDelays: [
      { interface: "eth0", downMs: 2000, upMs: 2000 },
      { interface: "eth1", downMs: 1000, upMs: 3000 },
    ],
    instances: [{ announce: { arpIntervalMs: 100 } }],
  });
});

describe("words of an instance that do nothing alone", () => {
  const told = (word: string) =>
    reading(
      `vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.9\n}\n${word}\n}\n`,
    );

  it.each([
    ["check_unicast_src", "unicast-without-peers"],
    ["vmac_xmit_base", "no-effect"],
    ["strict_mode perhaps", "bad-value"],
  ])("%s is told, by keepalived too", (word, code) => {
    const read = told(word);
    expect(read.diagnostics.map((d) => d.code)).toContain(code);
    expect(read.said.length).toBeGreaterThan(0);
  });
});
