/**
 * NAT: three real servers on a private network behind the director.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, NETWORKS, natHosts, server, VIP } from "./two-nets.ts";

const site = http(`http://${VIP}/`);

export const nat: Lab = {
  name: "nat",
  title: "NAT: requests and replies pass the director",
  about:
    "The director writes a real server's address into every request, and the VIP back into every reply. The real servers " +
    "need nothing but a default route through the director.",
  networks: NETWORKS,
  hosts: [client, director, ...[1, 2, 3].map((number) => server(number, { http: 80 }))],
  steps: [
    title("The hosts"),
    ...natHosts("rs1", "rs2", "rs3"),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80 -s rr`,
      ...[1, 2, 3].map((number) => `ipvsadm -a -t ${VIP}:80 -r 10.0.0.${number}:80 -m`),
    ),
    title("Requests", "Round robin takes the servers in turn, the one added last first."),
    ask("client", site, 6),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
    title("Drain rs1", "Weight 0: no new connections, live ones go on."),
    ...run("director", `ipvsadm -e -t ${VIP}:80 -r 10.0.0.1:80 -m -w 0`),
    ask("client", site, 4),
  ],
  traced: { on: "client", ask: site },
};
