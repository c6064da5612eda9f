/**
 * The network that several tutorials share: client, director and two real servers on one LAN, 192.168.80.0/24, with the
 * VIP 192.168.80.200 on the director and, not answered for by ARP, on every real server.
 * @module
 */
import { type LabHost, run, type Step } from "../lab.ts";

export const VIP = "192.168.80.200";
export const LAN = { name: "lan", cidr: "192.168.80.0/24" };

const onLan = (number: number) => [
  { device: "eth0", network: "lan", addresses: [`192.168.80.${number}/24`] },
];

export const client = (name: string, number: number): LabHost => ({ name, nics: onLan(number) });
export const director: LabHost = { name: "director", nics: onLan(101), note: `VIP ${VIP}` };
/** rs1 is 192.168.80.102, rs2 192.168.80.103. */
export const server = (number: number, ports: { http?: number; https?: number }): LabHost => ({
  name: `rs${number}`,
  nics: onLan(101 + number),
  note: `VIP ${VIP} on lo, silent`,
  serves: { address: `192.168.80.${101 + number}`, ...ports },
});

/** What direct routing asks of a real server: no ARP for the VIP, then the VIP itself. */
export const silentVip = (host: string): Step[] =>
  run(
    host,
    "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
    `ip addr add ${VIP}/32 dev lo`,
  );

/** The VIP on the director, which alone answers ARP for it. */
export const directorVip: Step[] = run("director", `ip addr add ${VIP}/32 dev eth0`);
