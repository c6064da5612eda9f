/**
 * IPv6: the NAT tutorial with addresses of the other family.
 * @module
 */
import { ask, http, type Lab, type LabHost, run, title } from "../lab.ts";

const VIP = "2001:db8:1::100";
const site = http(`http://[${VIP}]/`);

const server = (number: number): LabHost => ({
  name: `rs${number}`,
  nics: [{ device: "eth0", network: "lan", addresses: [`2001:db8:2::${number}/64`] }],
  serves: { address: `2001:db8:2::${number}`, http: 80 },
});

export const ipv6: Lab = {
  name: "ipv6",
  title: "IPv6: NAT with addresses of the other family",
  about:
    "The same commands with addresses in brackets. The real servers' default route leads through the director.",
  networks: [
    { name: "wan", cidr: "2001:db8:1::/64" },
    { name: "lan", cidr: "2001:db8:2::/64" },
  ],
  hosts: [
    { name: "client", nics: [{ device: "eth0", network: "wan", addresses: ["2001:db8:1::10/64"] }] },
    {
      name: "director",
      note: `VIP ${VIP}`,
      nics: [
        { device: "eth0", network: "wan", addresses: ["2001:db8:1::1/64"] },
        { device: "eth1", network: "lan", addresses: ["2001:db8:2::254/64"] },
      ],
    },
    server(1),
    server(2),
  ],
  steps: [
    title("The hosts"),
    ...["rs1", "rs2"].flatMap((host) => run(host, "ip -6 route add default via 2001:db8:2::254")),
    ...run("director", "sysctl -w net.ipv6.conf.all.forwarding=1", `ip addr add ${VIP}/128 dev eth0 nodad`),
    title("The rules"),
    ...run(
      "director",
      `ipvsadm -A -t '[${VIP}]:80' -s rr`,
      `ipvsadm -a -t '[${VIP}]:80' -r '[2001:db8:2::1]:80' -m`,
      `ipvsadm -a -t '[${VIP}]:80' -r '[2001:db8:2::2]:80' -m`,
    ),
    title("Requests"),
    ask("client", site, 6),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: site },
};
