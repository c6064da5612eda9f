/**
 * The network that several tutorials share: the client on one side of the director, 192.168.1.0/24, the real servers on the
 * other, 10.0.0.0/24; the VIP 192.168.1.100 on the director.
 * @module
 */
import { type LabHost, run, type Serving, type Step } from "../lab.ts";

export const VIP = "192.168.1.100";
export const NETWORKS = [
  { name: "wan", cidr: "192.168.1.0/24" },
  { name: "lan", cidr: "10.0.0.0/24" },
];

/** 192.168.1.10. */
export const client: LabHost = {
  name: "client",
  nics: [{ device: "eth0", network: "wan", addresses: ["192.168.1.10/24"] }],
};

/** 192.168.1.1 and 10.0.0.254. */
export const director: LabHost = {
  name: "director",
  note: `VIP ${VIP}`,
  nics: [
    { device: "eth0", network: "wan", addresses: ["192.168.1.1/24"] },
    { device: "eth1", network: "lan", addresses: ["10.0.0.254/24"] },
  ],
};

/** rs1 is 10.0.0.1, and so on. */
export const server = (number: number, ports: Omit<Serving, "address">): LabHost => ({
  name: `rs${number}`,
  nics: [{ device: "eth0", network: "lan", addresses: [`10.0.0.${number}/24`] }],
  serves: { address: `10.0.0.${number}`, ...ports },
});

/** What NAT asks of the hosts: the servers' only gateway is the director, which forwards and has the VIP. */
export const natHosts = (...servers: string[]): Step[] => [
  ...servers.flatMap((host) => run(host, "ip route add default via 10.0.0.254")),
  ...run("director", "sysctl -w net.ipv4.ip_forward=1", `ip addr add ${VIP}/32 dev eth0`),
];
