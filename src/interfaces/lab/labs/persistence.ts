/**
 * Persistence: a client stays on its server, for a port, for a mark, or for every port.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, directorVip, LAN, server, silentVip, VIP } from "./one-lan.ts";

const plain = http(`http://${VIP}/`);
const secure = http(`https://${VIP}/`);
const SERVERS = ["192.168.80.102", "192.168.80.103"];
const servers = (service: string) => SERVERS.map((rip) => `ipvsadm -a ${service} -r ${rip}`);

export const persistence: Lab = {
  name: "persistence",
  title: "Persistence: a client stays on its server",
  about:
    "A client's first connection chooses a server, and a template in the connection table sends its next ones there too, " +
    "until none came for the timeout. Three kinds: for each port, for each mark, for each client.",
  networks: [LAN],
  hosts: [
    client("client1", 11),
    client("client2", 12),
    director,
    server(1, { http: 80, https: 443 }),
    server(2, { http: 80, https: 443 }),
  ],
  steps: [
    title("The hosts"),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    ...directorVip,
    title("For each port", "Two services: a client may be on one server for HTTP and on another for HTTPS."),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80 -s rr -p`,
      ...servers(`-t ${VIP}:80`),
      `ipvsadm -A -t ${VIP}:443 -s rr -p`,
      ...servers(`-t ${VIP}:443`),
    ),
    ask("client1", plain, 3),
    ask("client2", plain, 3),
    ask("client2", secure, 2),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
    title("For each mark", "HTTP and HTTPS bear one mark, so they share the client's server."),
    ...run(
      "director",
      "ipvsadm -C",
      ...[80, 443].map(
        (port) => `iptables -t mangle -A PREROUTING -d ${VIP} -p tcp --dport ${port} -j MARK --set-mark 9`,
      ),
      "ipvsadm -A -f 9 -s rr -p 300",
      ...servers("-f 9"),
    ),
    ask("client1", plain, 2),
    ask("client1", secure, 2),
    title("For each client", "Port 0 is every port of the VIP."),
    ...run(
      "director",
      "ipvsadm -C",
      "iptables -t mangle -F",
      `ipvsadm -A -t ${VIP}:0 -s rr -p 300`,
      ...servers(`-t ${VIP}:0`),
    ),
    ask("client1", plain, 2),
    ask("client1", secure, 2),
    ask("client2", plain, 2),
    ask("client2", secure, 2),
    ...run("director", "ipvsadm -ln --persistent-conn"),
  ],
  traced: { on: "client1", ask: plain },
};
