/**
 * UDP: datagrams of one client port are a connection, until it was silent for the timeout.
 * @module
 */
import { type Ask, ask, type Lab, type LabHost, run, title } from "../lab.ts";

const VIP = "192.168.1.100";
const question: Ask = { kind: "udp", address: VIP, port: 53 };

const server = (number: number): LabHost => ({
  name: `rs${number}`,
  nics: [{ device: "eth0", network: "lan", addresses: [`10.0.0.${number}/24`] }],
  serves: { address: `10.0.0.${number}`, udp: 53 },
});

export const udp: Lab = {
  name: "udp",
  title: "UDP: datagrams of one client port are a connection",
  about:
    "UDP has no connections of its own; the director takes all datagrams from one client address and port for one, until " +
    "none came for 300 s. All count as inactive.",
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
    ...["rs1", "rs2"].flatMap((host) => run(host, "ip route add default via 10.0.0.254")),
    ...run("director", "sysctl -w net.ipv4.ip_forward=1", `ip addr add ${VIP}/32 dev eth0`),
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
