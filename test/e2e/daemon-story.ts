/**
 * The life of a daemon as far as it touches the data plane: servers that fail and recover, the sorry server, a reload with open
 * connections, a killed daemon and its successor. Step by step and without a test runner: it is played here and in the virtual machine.
 * @module
 */
import assert from "node:assert/strict";
import { ask } from "../../src/interfaces/daemon/control-client.ts";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { type DaemonBed, type Running, until } from "./daemon-bed.ts";
import { slowness } from "./planes.ts";

/** One step of a story. Those before it must have been played. */
export interface Step {
  readonly title: string;
  readonly play: () => Promise<void>;
}

const VIP = "10.1.0.100";
const [RS1, RS2, SORRY] = ["10.2.0.11:8001", "10.2.0.12:8001", "10.2.0.12:8009"] as const;

/** Two servers, one asked by HTTP, one by TCP; the sorry server stands beside the second. */
const configuration = (addresses: readonly string[]): string => `
virtual_server ${VIP} 80 {
    delay_loop ${0.3 * slowness}
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    sorry_server ${SORRY.replace(":", " ")}
${addresses
  .map(
    (address) => `
    real_server ${address.replace(":", " ")} {
        ${address === RS1 ? "HTTP_GET { url { path /healthz\n status_code 200 }" : "TCP_CHECK {"}
            connect_timeout ${2 * slowness}
            retry 1
            delay_before_retry 0.2
        }
    }`,
  )
  .join("")}
}`;

/** The steps, for a bed that is up. */
export function daemonStory(bed: DaemonBed): Step[] {
  const file = bed.path("keepalived.conf");
  const socket = bed.path("control.sock");
  let daemon: Running;
  let web2: Running;

  const start = async (): Promise<void> => {
    daemon = bed.spawn("director", ["lvsd", "run", "-f", file, "--control", socket]);
    await daemon.says("Startup complete");
  };
  const service = async () => {
    const { lvs } = await ask<DaemonStatus>(socket, "status");
    return lvs!.virtualServers[0]!;
  };
  /** Which real servers are up, by their addresses. */
  const up = async (): Promise<string[]> =>
    (await service()).servers
      .filter((server) => server.up)
      .map(({ name }) => name.replace(/^\[(.*)\]:tcp:/, "$1:"));
  const upAre = (what: string, ...addresses: string[]) =>
    until(what, up, (now) => now.join() === addresses.join());
  const table = (): Promise<string> => bed.net.ipvsadm("-Sn");
  const entries = async (): Promise<string[]> =>
    [...(await table()).matchAll(/ -r (\S+) -m -w (\d+)/g)]
      .map(([, rip, weight]) => `${rip} ${weight}`)
      .sort();
  /** Who answers, each once. */
  const names = async (count = 4): Promise<string[]> => [
    ...new Set((await bed.net.get(`http://${VIP}/`, count)).sort()),
  ];

  return [
    {
      title: "puts servers into the table, checks them, and tells by status --json how they stand",
      async play() {
        bed.net.ip("director", `addr add ${VIP}/32 dev eth0`);
        bed.write("keepalived.conf", configuration([RS1, RS2]));
        [, web2] = await Promise.all([
          bed.serve("server1", 8001),
          bed.serve("server2", 8001),
          bed.serve("server2", 8009),
        ]);
        await start();
        await until("all are checked", service, ({ servers }) =>
          servers.every(({ checks }) => checks[0]!.state === "ok"),
        );
        assert.deepEqual(await names(), ["server1", "server2"]);
        const told = await bed.command("lvsd", "status", "--json", "--control", socket);
        const { lvs } = JSON.parse(told) as DaemonStatus;
        assert.equal(lvs!.plane, bed.net.plane);
        assert.deepEqual(
          lvs!.virtualServers[0]!.servers.map(({ up, weight, tableWeight }) => [up, weight, tableWeight]),
          [
            [true, 1, 1],
            [true, 1, 1],
          ],
        );
        assert.equal(
          lvs!.virtualServers[0]!.servers.reduce((sum, { connections: c }) => sum + c.active + c.inactive, 0),
          4,
          "connections that the plane counts",
        );
      },
    },
    {
      title: "takes a failing server out of the table",
      async play() {
        bed.ill("server1", true);
        await upAre("server 1 is down", RS2);
        assert.deepEqual(await entries(), [`${RS2} 1`]);
        assert.deepEqual(await names(2), ["server2"]);
      },
    },
    {
      title: "brings in the sorry server when all are down, and puts them back when they recover",
      async play() {
        await web2.kill();
        await upAre("all are down");
        assert.deepEqual(await entries(), [`${SORRY} 1`]);
        assert.deepEqual(await names(1), ["server2"]);
        bed.ill("server1", false);
        web2 = await bed.serve("server2", 8001);
        await upAre("both are up", RS1, RS2);
        assert.deepEqual(await entries(), [`${RS1} 1`, `${RS2} 1`]);
        assert.deepEqual(await names(), ["server1", "server2"]);
      },
    },
    {
      title: "a reload is a difference: a removed server keeps its open connection and gets no new one",
      async play() {
        const calls = [await bed.call(VIP, 80), await bed.call(VIP, 80)];
        assert.deepEqual(calls.map(({ server }) => server).sort(), ["server1", "server2"]);
        bed.write("keepalived.conf", configuration([RS1]));
        await bed.command("lvsd", "reload", "--control", socket);
        assert.deepEqual(await entries(), [`${RS1} 1`, `${RS2} 0`]);
        assert.deepEqual(await names(2), ["server1"]);
        for (const call of calls) await bed.stillServed(call);
        const { leavingServers } = await service();
        assert.deepEqual(
          leavingServers.map(({ connections }) => connections.active),
          [1],
        );
        bed.write("keepalived.conf", configuration([RS1, RS2]));
        await bed.command("lvsd", "reload", "--control", socket);
        await upAre("both are up", RS1, RS2);
        assert.deepEqual(await names(), ["server1", "server2"]);
        for (const call of calls) {
          await bed.stillServed(call);
          await call.kill();
        }
      },
    },
    {
      title: "killed, it leaves rules and connections, and its successor takes them over",
      async play() {
        const call = await bed.call(VIP, 80);
        const before = await table();
        process.kill((await ask<DaemonStatus>(socket, "status")).pid, "SIGKILL");
        await daemon.exited;
        assert.equal(await table(), before);
        await bed.stillServed(call);
        await start();
        assert.equal(await table(), before);
        await bed.stillServed(call);
        await upAre("both are up", RS1, RS2);
        await call.kill();
      },
    },
    {
      title: "told to stop it removes what is its own, and only that",
      async play() {
        await bed.net.ipvsadm(`-A -t ${VIP}:99 -s rr`);
        assert.equal(await daemon.kill("SIGTERM"), 0);
        assert.equal(await table(), `-A -t ${VIP}:99 -s rr\n`);
        await bed.net.ipvsadm("-C");
      },
    },
  ];
}
