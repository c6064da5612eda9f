/**
 * Local: the director is a real server and a client too.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, NETWORKS, natHosts, server, VIP } from "./two-nets.ts";

const site = http(`http://${VIP}/`);

export const local: Lab = {
  name: "local",
  title: "Local: the director is a real server and a client too",
  about:
    "A real server whose address is the director's own is its local node: the packet goes up to the local web server, " +
    "whatever the forwarding method. A client on the director reaches the VIP as others do.",
  networks: NETWORKS,
  hosts: [client, { ...director, serves: { address: "10.0.0.254", http: 80 } }, server(1, { http: 80 })],
  steps: [
    title("The hosts"),
    ...natHosts("rs1"),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80 -s rr`,
      `ipvsadm -a -t ${VIP}:80 -r 10.0.0.1:80 -m`,
      `ipvsadm -a -t ${VIP}:80 -r 10.0.0.254:80 -m`,
    ),
    title("Requests from a client outside"),
    ask("client", site, 4),
    title("Requests from the director itself"),
    ask("director", site, 4),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: site },
};
