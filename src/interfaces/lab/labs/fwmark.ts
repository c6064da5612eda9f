/**
 * A firewall mark joins HTTP and HTTPS to one service.
 * @module
 */
import { ask, http, type Lab, run, title } from "../lab.ts";
import { client, director, directorVip, LAN, server, silentVip, VIP } from "./one-lan.ts";

const plain = http(`http://${VIP}/`);
const secure = http(`https://${VIP}/`);

export const fwmark: Lab = {
  name: "fwmark",
  title: "Firewall mark: several ports as one service",
  about:
    "Direct routing cannot map ports, so HTTP and HTTPS would be two services. The firewall marks the packets for both " +
    "ports with 9, and one service takes whatever bears that mark.",
  networks: [LAN],
  hosts: [
    client("client", 10),
    director,
    server(1, { http: 80, https: 443 }),
    server(2, { http: 80, https: 443 }),
  ],
  steps: [
    title("The hosts"),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    ...directorVip,
    title("The marks"),
    ...run(
      "director",
      ...[80, 443].map(
        (port) => `iptables -t mangle -A PREROUTING -d ${VIP} -p tcp --dport ${port} -j MARK --set-mark 9`,
      ),
    ),
    title("The rules"),
    ...run(
      "director",
      "ipvsadm -A -f 9 -s rr",
      "ipvsadm -a -f 9 -r 192.168.80.102",
      "ipvsadm -a -f 9 -r 192.168.80.103",
    ),
    title("Requests", "Plain and over TLS, spread by the one rule."),
    ask("client", plain, 2),
    ask("client", secure, 2),
    ask("client", plain, 1),
    ask("client", secure, 1),
    ...run("director", "ipvsadm -ln", "ipvsadm -lnc"),
  ],
  traced: { on: "client", ask: plain },
};
