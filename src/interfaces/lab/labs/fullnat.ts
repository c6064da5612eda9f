/**
 * Full-NAT: both addresses are rewritten, so real servers need no route to the client.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, NETWORKS, server, VIP } from "./two-nets.ts";

const site = http(`http://${VIP}/`);

export const fullnat: Lab = {
  name: "fullnat",
  title: "Full-NAT: real servers see the director as their client",
  about:
    "The director writes both addresses: a local address of its own (LIP) as the source, the real server's as the " +
    "destination. The real servers need no route to the client, and no change at all.",
  networks: NETWORKS,
  hosts: [
    client,
    director,
    ...[1, 2].map((number) => ({ ...server(number, { http: 80 }), note: "no default route" })),
  ],
  steps: [
    title("The hosts"),
    ...run(
      "director",
      `ip addr add ${VIP}/32 dev eth0`,
      "ip addr add 10.0.0.200/32 dev eth1",
      "ip addr add 10.0.0.201/32 dev eth1",
    ),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80 -s rr --local-address 10.0.0.200,10.0.0.201`,
      `ipvsadm -a -t ${VIP}:80 -r 10.0.0.1:80 --fullnat`,
      `ipvsadm -a -t ${VIP}:80 -r 10.0.0.2:80 --fullnat`,
    ),
    title("Requests", "Each answer names the client that the server saw: a local address of the director."),
    ask("client", site, 6),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: site },
};
