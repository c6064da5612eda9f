/**
 * NAT: three real servers on a private network behind the director.
 * @module
 */
import { ask, http, type Lab, type LabHost, run, title } from "../lab.ts";

const VIP = "192.168.1.100";
const site = http(`http://${VIP}/`);

const server = (number: number): LabHost => ({
  name: `rs${number}`,
  nics: [{ device: "eth0", network: "lan", addresses: [`10.0.0.${number}/24`] }],
  serves: { address: `10.0.0.${number}`, http: 80 },
});

export const nat: Lab = {
  name: "nat",
  title: "NAT: requests and replies pass the director",
  about:
    "The director writes a real server's address into every request, and the VIP back into every reply. The real servers " +
    "need nothing but a default route through the director.",
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
    server(3),
  ],
  steps: [
    title("The hosts"),
    ...["rs1", "rs2", "rs3"].flatMap((host) => run(host, "ip route add default via 10.0.0.254")),
    ...run("director", "sysctl -w net.ipv4.ip_forward=1", `ip addr add ${VIP}/32 dev eth0`),
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
