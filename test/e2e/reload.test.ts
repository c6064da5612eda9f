/** A thousand open connections while the configuration is loaded again a hundred times, each time otherwise: none is lost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualServerStatus } from "../../src/control/supervision.ts";
import { ask } from "../../src/interfaces/daemon/control-client.ts";
import type { DaemonStatus, PlanAnswer, ReloadAnswer } from "../../src/interfaces/daemon/protocol.ts";
import { DaemonBed, type Running, until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0;
const VIP = "10.1.0.100";
const CONNECTIONS = 1000;
const RELOADS = 100;

/**
 * Holds many connections, each of which asks now and then; prints a line with the counts at SIGUSR2, after every connection has asked
 * and been answered once more.
 */
const HOLDER = `
const [address, count] = process.argv.slice(1);
const net = require("node:net");
const sockets = new Set();
let broken = 0, answers = 0, opened = 0;
const request = "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n";
const open = () => {
  if (opened === Number(count)) return console.log("holding");
  opened++;
  const socket = net.connect(80, address);
  socket.waiting = true;
  socket.setEncoding("latin1");
  socket.once("connect", () => socket.write(request));
  socket.on("data", () => {
    answers++;
    socket.waiting = false;
    if (!sockets.has(socket)) { sockets.add(socket); open(); }
  });
  for (const event of ["error", "close"]) socket.once(event, () => {
    if (!socket.lost) { socket.lost = true; broken++; sockets.delete(socket); }
  });
};
for (let i = 0; i < 20; i++) open();
const all = () => {
  for (const s of sockets) if (!s.waiting) { s.waiting = true; s.write(request); }
};
setInterval(all, 700);
// Connections that were reset are forgotten soon; those that were closed wait two minutes.
process.on("SIGTERM", () => {
  for (const s of sockets) s.resetAndDestroy();
  setTimeout(() => process.exit(), 200);
});
process.on("SIGUSR2", () => {
  all();
  const look = setInterval(() => {
    if ([...sockets].some((s) => s.waiting)) return;
    clearInterval(look);
    console.log("counts " + JSON.stringify({ open: sockets.size, broken, answers }));
  }, 50);
});
`;

describe.skipIf(!root)("reloading", () => {
  const bed = new DaemonBed("r");
  const file = bed.path("keepalived.conf");
  const socket = bed.path("control.sock");
  let holder: Running;

  /** Which servers, which weights, which scheduler: something else every time. */
  const configuration = (round: number): string => {
    const servers = ["10.2.0.11", "10.2.0.12"].filter((_, i) => round % 3 === 0 || round % 3 === i + 1);
    const real = (address: string) => `
    real_server ${address} 8001 {
        weight ${1 + (round % 4)}
        TCP_CHECK { connect_timeout 3
                    retry ${1 + (round % 5)} }
    }`;
    const other = `
virtual_server ${VIP} 81 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.2.0.11 8001 { }
}`;
    return `
virtual_server ${VIP} 80 {
    delay_loop 2
    lb_algo ${round % 2 === 0 ? "rr" : "wlc"}
    lb_kind NAT
    protocol TCP
    sorry_server 10.2.0.12 8009
${servers.map(real).join("")}
}
${round % 2 === 1 ? other : ""}`;
  };

  const counts = async (): Promise<{ open: number; broken: number; answers: number }> => {
    const before = holder.output.length;
    holder.child.kill("SIGUSR2");
    const said = await until(
      "every connection is answered",
      () => holder.output.slice(before),
      (text) => text.includes("counts "),
    );
    return JSON.parse(/counts (.*)/.exec(said)![1]!);
  };

  const service = async (): Promise<VirtualServerStatus> =>
    (await ask<DaemonStatus>(socket, "status")).lvs!.virtualServers[0]!;

  beforeAll(async () => {
    await bed.up();
    bed.net.ip("director", `addr add ${VIP}/32 dev eth0`);
    await Promise.all([bed.serve("server1", 8001), bed.serve("server2", 8001), bed.serve("server2", 8009)]);
    bed.write("keepalived.conf", configuration(0));
    const daemon = bed.spawn("director", ["lvsd", "run", "-f", file, "--control", socket]);
    await daemon.says("Startup complete");
  });

  afterAll(() => bed.down());

  test(`${RELOADS} times leaves ${CONNECTIONS} open connections alone`, async () => {
    holder = bed.spawn("client", [process.execPath, "-e", HOLDER, VIP, String(CONNECTIONS)]);
    await holder.says("holding");
    expect((await service()).connections.active).toBe(CONNECTIONS);
    for (let round = 1; round <= RELOADS; round++) {
      bed.write("keepalived.conf", configuration(round));
      const answer = await ask<ReloadAnswer>(socket, "reload");
      expect(answer).toMatchObject({ ok: true, refused: [] });
      // Whatever has left the configuration keeps its connections, and gets no new ones.
      const { leavingServers, servers } = await service();
      expect(servers.length + leavingServers.length).toBe(2);
      for (const leaving of leavingServers) expect(leaving.connections.active).toBeGreaterThan(0);
    }
    const { open, broken, answers } = await counts();
    expect({ open, broken }).toEqual({ open: CONNECTIONS, broken: 0 });
    expect(answers).toBeGreaterThan(CONNECTIONS);
    expect((await service()).connections.active).toBe(CONNECTIONS);
  });

  test("is foretold by a plan: which connections are drained, that none is cut", async () => {
    bed.write("keepalived.conf", configuration(RELOADS - (RELOADS % 3) + 1));
    const { plan } = await ask<PlanAnswer>(socket, "plan");
    expect(plan!.connections.cut).toBe(0);
    const { drained, untouched } = plan!.connections;
    expect(drained + untouched).toBeGreaterThanOrEqual(CONNECTIONS);
    await ask<ReloadAnswer>(socket, "reload");
    const { leavingServers } = await service();
    expect(leavingServers.reduce((n, l) => n + l.connections.active, 0)).toBeGreaterThan(0);
    // New connections go where the new configuration says.
    const names = new Set(await bed.net.get(`http://${VIP}/`, 4));
    expect(names).toEqual(new Set(["server1"]));
  });

  test("lets a drained server go once its connections have ended", async () => {
    await holder.kill("SIGTERM");
    const went = await until("the server leaves", service, (v) => v.leavingServers.length === 0);
    expect(went.servers).toHaveLength(1);
    expect(await bed.net.ipvsadm("-Sn")).not.toContain("10.2.0.12");
  });
});
