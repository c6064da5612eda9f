/**
 * UDP: datagrams of one client port are a connection, until it was silent for the timeout.
 * @module
 */
import { type Ask, ask, type Lab, run, title } from "../lab.ts";
import { client, director, NETWORKS, natHosts, server, VIP } from "./two-nets.ts";

const question: Ask = { kind: "udp", address: VIP, port: 53 };

export const udp: Lab = {
  name: "udp",
  title: "UDP: datagrams of one client port are a connection",
  about:
    "UDP has no connections of its own; the director takes all datagrams from one client address and port for one, until " +
    "none came for 300 s. All count as inactive.",
  networks: NETWORKS,
  hosts: [client, director, server(1, { udp: 53 }), server(2, { udp: 53 })],
  steps: [
    title("The hosts"),
    ...natHosts("rs1", "rs2"),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -u ${VIP}:53 -s wlc`,
      `ipvsadm -a -u ${VIP}:53 -r 10.0.0.1:53 -m`,
      `ipvsadm -a -u ${VIP}:53 -r 10.0.0.2:53 -m`,
    ),
    title("Questions, each from a port of its own"),
    ask("client", question, 6),
    title("Questions from one port", "They are one connection and stay on one server."),
    ask("client", { ...question, sourcePort: 5300 }, 3),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: question },
};
