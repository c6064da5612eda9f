/**
 * Full-NAT: both addresses are rewritten, so real servers need no route to the client.
 * @module
 */
import { ask, http, type Lab, type LabHost, run, title } from "../lab.ts";

const VIP = "192.168.1.100";
const site = http(`http://${VIP}/`);

const server = (number: number): LabHost => ({
  name: `rs${number}`,
  note: "no default route",
  nics: [{ device: "eth0", network: "lan", addresses: [`10.0.0.${number}/24`] }],
  serves: { address: `10.0.0.${number}`, http: 80 },
});

export const fullnat: Lab = {
  name: "fullnat",
  title: "Full-NAT: real servers see the director as their client",
  about:
    "The director writes both addresses: a local address of its own (LIP) as the source, the real server's as the " +
    "destination. The real servers need no route to the client, and no change at all.",
  networks: [
    { name: "wan", cidr: "192.168.1.0/24" },
    { name: "lan", cidr: "10.0.0.0/24" },
  ],
  hosts: [
    { name: "client", nics: [{ device: "eth0", network: "wan", addresses: ["192.168.1.10/24"] }] },
    {
      name: "director",
      note: `VIP ${VIP}`,
      nics: [
        { device: "eth0", network: "wan", addresses: ["192.168.1.1/24"] },
        { device: "eth1", network: "lan", addresses: ["10.0.0.254/24"] },
      ],
    },
    server(1),
    server(2),
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
