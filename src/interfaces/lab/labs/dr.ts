/**
 * Direct routing: only the MAC changes, replies go straight to the client.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, directorVip, LAN, server, silentVip, VIP } from "./one-lan.ts";

const site = http(`http://${VIP}/`);

export const dr: Lab = {
  name: "dr",
  title: "DR: only the MAC changes, replies go straight to the client",
  about:
    "The director hands the packet on as it is, with a real server's MAC. The real server owns the VIP too, without " +
    "answering ARP for it, and replies to the client itself. All share one LAN.",
  networks: [LAN],
  hosts: [client("client", 10), director, server(1, { http: 80 }), server(2, { http: 80 })],
  steps: [
    title(
      "The hosts",
      "The VIP lies on lo of every real server, and the kernel is told not to answer ARP for it.",
    ),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    ...directorVip,
    title("The rules", "Without -s the scheduler is wlc; without a method the packets are routed (-g)."),
    ...run(
      "director",
      `ipvsadm -A -t ${VIP}:80`,
      `ipvsadm -a -t ${VIP}:80 -r 192.168.80.102`,
      `ipvsadm -a -t ${VIP}:80 -r 192.168.80.103`,
    ),
    title("Requests"),
    ask("client", site, 6),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
    title("Who answers ARP for the VIP", "Only the director: this MAC is its own."),
    ...run("client", `ip neighbour show ${VIP}`),
  ],
  traced: { on: "client", ask: site },
};
