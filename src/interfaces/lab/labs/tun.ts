/**
 * Tunnels: the request travels inside another IP packet, so real servers may be in any network.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";

const VIP = "172.17.42.200";
const site = http(`http://${VIP}/`);
const SERVERS = ["172.17.42.120", "172.18.42.121"];

export const tun: Lab = {
  name: "tun",
  title: "TUN: the request travels in a tunnel, replies go straight to the client",
  about:
    "The director wraps the packet into another one addressed to the real server, which unwraps it and replies to the " +
    "client itself. rs1 is in the director's network, rs2 in another one behind a router.",
  networks: [
    { name: "near", cidr: "172.17.0.0/16" },
    { name: "far", cidr: "172.18.0.0/16" },
  ],
  hosts: [
    { name: "client", nics: [{ device: "eth0", network: "near", addresses: ["172.17.42.110/16"] }] },
    {
      name: "director",
      note: `VIP ${VIP}`,
      nics: [{ device: "eth0", network: "near", addresses: ["172.17.42.111/16"] }],
    },
    {
      name: "rs1",
      note: `VIP ${VIP} on tunl0`,
      nics: [{ device: "eth0", network: "near", addresses: ["172.17.42.120/16"] }],
      serves: { address: SERVERS[0]!, http: 80 },
    },
    {
      name: "router",
      nics: [
        { device: "eth0", network: "near", addresses: ["172.17.42.1/16"] },
        { device: "eth1", network: "far", addresses: ["172.18.42.1/16"] },
      ],
    },
    {
      name: "rs2",
      note: `VIP ${VIP} on tunl0`,
      nics: [{ device: "eth0", network: "far", addresses: ["172.18.42.121/16"] }],
      serves: { address: SERVERS[1]!, http: 80 },
    },
  ],
  steps: [
    title("The hosts"),
    ...run("router", "sysctl -w net.ipv4.ip_forward=1"),
    ...run("rs2", "ip route add default via 172.18.42.1"),
    ...["client", "director", "rs1"].flatMap((host) =>
      run(host, "ip route add 172.18.0.0/16 via 172.17.42.1"),
    ),
    ...run("director", `ip addr add ${VIP}/32 dev eth0`),
    title(
      "The tunnel's end on the real servers",
      "The kernel's tunl0 where it has one, else our own decapsulator with a device of that name.",
    ),
    ...run("rs1", `lvsd realserver tun ${VIP}`),
    ...run("rs2", `lvsd realserver tun ${VIP}`),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80 -s rr`,
      ...SERVERS.map((rip) => `ipvsadm -a -t ${VIP}:80 -r ${rip} -i`),
    ),
    title("Requests"),
    ask("client", site, 6),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: site },
  alsoTraced: [
    { on: "rs1", device: "tunl0" },
    { on: "rs2", device: "tunl0" },
  ],
};
