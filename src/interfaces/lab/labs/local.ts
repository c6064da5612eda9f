/**
 * Local: the director is a real server and a client too.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";

const VIP = "192.168.1.100";
const site = http(`http://${VIP}/`);

export const local: Lab = {
  name: "local",
  title: "Local: the director is a real server and a client too",
  about:
    "A real server whose address is the director's own is its local node: the packet goes up to the local web server, " +
    "whatever the forwarding method. A client on the director reaches the VIP as others do.",
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
      serves: { address: "10.0.0.254", http: 80 },
    },
    {
      name: "rs1",
      nics: [{ device: "eth0", network: "lan", addresses: ["10.0.0.1/24"] }],
      serves: { address: "10.0.0.1", http: 80 },
    },
  ],
  steps: [
    title("The hosts"),
    ...run("rs1", "ip route add default via 10.0.0.254"),
    ...run("director", "sysctl -w net.ipv4.ip_forward=1", `ip addr add ${VIP}/32 dev eth0`),
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
