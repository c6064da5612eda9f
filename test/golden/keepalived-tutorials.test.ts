/**
 * The configurations that tutorials spread, with their slips: they load as they stand and give the services that are described.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { memoryFiles } from "../../src/control/config/files.ts";
import { fixConfig } from "../../src/control/config/format.ts";
import { readKeepalived } from "../../src/control/config/keepalived/index.ts";
import type { Wanted } from "../../src/control/wanted.ts";

const FOLDER = join(import.meta.dirname, "keepalived", "tutorials");
const read = (name: string) => readKeepalived(join(FOLDER, name), { hostName: "director" });

/** Services as `ipvsadm -ln` has them, in one line each. */
const table = ({ virtualServers }: Wanted): string[] =>
  virtualServers.map(({ name, service, servers }) => {
    const persistent = service.persistent ? ` persistent ${service.timeoutS}` : "";
    const reals = servers.map(({ id, method, weight }) => `${id.address}:${id.port} ${method} ${weight}`);
    return `${name} ${service.scheduler}${persistent} -> ${reals.join(", ")}`;
  });

describe("the Kubernetes tutorial (direct routing, no-break spaces, lvs_sync_daemon eth0 51)", () => {
  const { wanted, diagnostics } = read("kubernetes-dr.conf");

  it("gives its three services", () => {
    const reals = (port: number) =>
      ["10.0.5.1", "10.0.2.1", "10.0.3.1"].map((ip) => `${ip}:${port} dr 10`).join(", ");
    expect(table(wanted)).toEqual([
      `[10.0.10.1]:tcp:6443 wlc -> ${reals(6443)}`,
      `[10.0.10.2]:tcp:2379 wlc -> ${reals(2379)}`,
      `[10.0.10.3]:tcp:6789 wlc persistent 300 -> ${reals(6789)}`,
    ]);
    const [check] = wanted.virtualServers[0].servers[0].checks;
    expect(check.spec).toMatchObject({
      kind: "http",
      tls: true,
      timeoutMs: 3000,
      urls: [{ path: "/healthz", statusCodes: [[200, 200]] }],
    });
    const timings = wanted.virtualServers.flatMap(({ servers }) =>
      servers.flatMap(({ checks }) => checks.map(({ timing }) => timing)),
    );
    expect(timings.length).toBe(9);
    for (const timing of timings) {
      expect(timing).toMatchObject({ delayLoopMs: 5000, retry: 3, delayBeforeRetryMs: 3000 });
    }
  });

  it("gives its addresses, timeouts and name", () => {
    const [instance] = wanted.vrrp.instances;
    expect(instance).toMatchObject({
      name: "VI_1",
      routerId: 51,
      priority: 100,
      advertIntMs: 1000,
      version: 2,
    });
    expect(instance.auth).toEqual({ type: "pass", password: "1111" });
    expect(
      instance.addresses.map(({ address, broadcast, label }) => `${address} ${broadcast} ${label}`),
    ).toEqual([
      "10.0.10.1 10.0.10.1 eth0:k8s",
      "10.0.10.2 10.0.10.2 eth0:etcd",
      "10.0.10.3 10.0.10.3 eth0:ceph",
    ]);
    expect(wanted.global.routerId).toBe("kube");
    expect(wanted.global.timeouts).toEqual({ tcp: 7200, tcpFin: 120, udp: 300 });
  });

  it("takes 51 for the sync id, and follows the instance with that router id", () => {
    expect(wanted.global.sync).toMatchObject({ interface: "eth0", syncId: 51, instance: "VI_1" });
  });

  it("says what it made of the slips, and has no error", () => {
    const codes = diagnostics.filter(({ severity }) => severity !== "notice").map(({ code }) => code);
    expect(codes).toEqual(["pasted-blank", "sync-id"]);
    expect(diagnostics.filter(({ code }) => code === "deprecated-keyword").length).toBe(1 + 9);
  });
});

describe("the MySQL tutorial by NAT (misspelt and dead words, a } too many)", () => {
  const { wanted, diagnostics } = read("mysql-nat.conf");

  it("gives its service and both gateways in one group", () => {
    expect(table(wanted)).toEqual(["[172.17.42.200]:tcp:3306 rr persistent 50 -> 172.18.42.121:3306 nat 1"]);
    expect(wanted.virtualServers[0].servers[0].checks[0]).toMatchObject({
      spec: { kind: "tcp", target: { address: "172.18.42.121", port: 22 }, timeoutMs: 3000 },
      timing: { retry: 3 },
    });
    expect(wanted.vrrp.groups).toMatchObject([{ name: "VG1", members: ["VI_1", "VI_GATEWAY"] }]);
    expect(wanted.vrrp.instances.map(({ routerId, priority }) => [routerId, priority])).toEqual([
      [51, 100],
      [52, 150],
    ]);
    expect(wanted.global.sync).toMatchObject({ interface: "eth1", instance: "VI_GATEWAY", syncId: 52 });
    expect(wanted.global.mail).toMatchObject({
      to: ["admin@example.org"],
      server: { host: "127.0.0.1", port: 25 },
    });
  });

  it("names every slip, and has no error", () => {
    expect(diagnostics.map(({ severity, code, at }) => `${at.line} ${severity} ${code}`)).toEqual([
      "35 notice deprecated-keyword",
      "53 notice no-effect",
      "61 notice deprecated-keyword",
      "67 warning extra-close-brace",
    ]);
  });
});

it("the MySQL tutorial by TUN gives three tunnels, checked on port 22", () => {
  const { wanted, diagnostics } = read("mysql-tun.conf");
  const reals = [120, 121, 122].map((n) => `172.17.42.${n}:3306 tun 1`).join(", ");
  expect(table(wanted)).toEqual([`[172.17.42.200]:tcp:3306 rr persistent 50 -> ${reals}`]);
  for (const { checks } of wanted.virtualServers[0].servers) expect(checks[0].spec.target.port).toBe(22);
  expect(diagnostics.some(({ severity }) => severity === "error")).toBe(false);
});

it("the Docker tutorial gives a tunnel to the Docker host", () => {
  expect(table(read("docker-tun.conf").wanted)).toEqual([
    "[172.17.42.200]:tcp:36000 rr -> 172.17.42.40:36000 tun 1",
  ]);
});

it.each(["kubernetes-dr.conf", "mysql-nat.conf", "mysql-tun.conf", "docker-tun.conf"])(
  "the clean form of %s has nothing to say any more, and means the same",
  (name) => {
    const path = join(FOLDER, name);
    const before = read(name);
    const clean = fixConfig(path, readFileSync(path, "utf8"), before.fixes);
    const after = readKeepalived(path, { hostName: "director", files: memoryFiles({ [path]: clean }) });
    // What is left is a word of keepalived itself, which it calls deprecated.
    const left = after.diagnostics.filter(({ message }) => !message.startsWith("lvs_sync_daemon_interface "));
    expect(left).toEqual([]);
    const plain = (wanted: Wanted) =>
      JSON.stringify(wanted, (key, value) => (key === "at" ? undefined : value));
    expect(plain(after.wanted)).toBe(plain(before.wanted));
  },
);
