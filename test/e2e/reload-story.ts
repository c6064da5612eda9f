/**
 * Many open connections while the configuration is loaded again and again, each time otherwise: none is lost. Step by step and without
 * a test runner, for every data plane.
 * @module
 */
import assert from "node:assert/strict";
import type { VirtualServerStatus } from "../../src/control/supervision.ts";
import { ask } from "../../src/interfaces/daemon/control-client.ts";
import type { DaemonStatus, PlanAnswer, ReloadAnswer } from "../../src/interfaces/daemon/protocol.ts";
import { type DaemonBed, type Running, until } from "./daemon-bed.ts";
import type { Step } from "./daemon-story.ts";
import { slowness } from "./planes.ts";

const VIP = "10.1.0.100";

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

/** Which servers, which weights, which scheduler: something else every time. */
const configuration = (round: number): string => {
  const servers = ["10.2.0.11", "10.2.0.12"].filter((_, i) => round % 3 === 0 || round % 3 === i + 1);
  const real = (address: string) => `
  real_server ${address} 8001 {
      weight ${1 + (round % 4)}
      TCP_CHECK { connect_timeout ${3 * slowness}
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

/** The steps, for a bed that is up. */
export function reloadStory(bed: DaemonBed, connections: number, reloads: number): Step[] {
  const file = bed.path("keepalived.conf");
  const socket = bed.path("control.sock");
  let holder: Running;

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

  return [
    {
      title: `${reloads} reloads leave ${connections} open connections alone`,
      async play() {
        bed.net.ip("director", `addr add ${VIP}/32 dev eth0`);
        await Promise.all([
          bed.serve("server1", 8001),
          bed.serve("server2", 8001),
          bed.serve("server2", 8009),
        ]);
        bed.write("keepalived.conf", configuration(0));
        const daemon = bed.spawn("director", ["lvsd", "run", "-f", file, "--control", socket]);
        await daemon.says("Startup complete");
        holder = bed.spawn("client", [process.execPath, "-e", HOLDER, VIP, String(connections)]);
        await holder.says("holding");
        assert.equal((await service()).connections.active, connections);
        for (let round = 1; round <= reloads; round++) {
          bed.write("keepalived.conf", configuration(round));
          const answer = await ask<ReloadAnswer>(socket, "reload");
          assert(answer.ok && answer.refused.length === 0, `reload ${round}: ${JSON.stringify(answer)}`);
          // Whatever has left the configuration keeps its connections, and gets no new ones.
          const { leavingServers, servers } = await service();
          assert.equal(servers.length + leavingServers.length, 2, `servers after reload ${round}`);
          for (const leaving of leavingServers)
            assert(leaving.connections.active > 0, `after reload ${round}`);
        }
        const { open, broken, answers } = await counts();
        assert.deepEqual({ open, broken }, { open: connections, broken: 0 });
        assert(answers > connections);
        assert.equal((await service()).connections.active, connections);
      },
    },
    {
      title: "a reload is foretold by a plan: which connections are drained, that none is cut",
      async play() {
        bed.write("keepalived.conf", configuration(reloads - (reloads % 3) + 1));
        const { plan } = await ask<PlanAnswer>(socket, "plan");
        const { cut, drained, untouched } = plan!.connections;
        assert.equal(cut, 0);
        assert(drained + untouched >= connections);
        await ask<ReloadAnswer>(socket, "reload");
        const { leavingServers } = await service();
        assert(leavingServers.reduce((sum, leaving) => sum + leaving.connections.active, 0) > 0);
        // New connections go where the new configuration says.
        assert.deepEqual([...new Set(await bed.net.get(`http://${VIP}/`, 4))], ["server1"]);
      },
    },
    {
      title: "a drained server goes once its connections have ended",
      async play() {
        await holder.kill("SIGTERM");
        const went = await until("the server leaves", service, (v) => v.leavingServers.length === 0);
        assert.equal(went.servers.length, 1);
        assert(!(await bed.net.ipvsadm("-Sn")).includes("10.2.0.12"));
      },
    },
  ];
}
