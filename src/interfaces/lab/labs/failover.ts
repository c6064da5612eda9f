/**
 * Failover: two directors with one address; the master is stopped, then cut off, while a client goes on asking.
 * @module
 */
import { ask, http, type Lab, run, type Step, title } from "../lab.ts";
import { client, LAN, server, silentVip, VIP } from "./one-lan.ts";
import { address, director, file, start, table } from "./two-directors.ts";

const site = http(`http://${VIP}/`);

/** A client that asks again and again, and writes down when it was answered. */
const asking: Step[] = [
  {
    kind: "file",
    on: "client",
    name: "ask.sh",
    text: `while :; do
    curl -s -m 0.2 http://${VIP}/ > answer && date +%s.%N >> answers.log
    sleep 0.02
done
`,
  },
  { kind: "daemon", on: "client", command: "sh ask.sh", output: "ask.log" },
];

const gap = (): Step[] =>
  run(
    "client",
    `sleep 1; awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%d answers, at most %.2f s apart\\n", NR, most }' answers.log; : > answers.log`,
  );

export const failover: Lab = {
  name: "failover",
  title: "Failover: two directors, one address",
  about:
    "Two directors with the same configuration, but for the priority. The better one is master: it has the VIP and says so five times a second " +
    "(VRRP). When it falls silent the other takes the VIP over and tells everybody by gratuitous ARP; when it comes back it takes the VIP again.",
  networks: [LAN],
  hosts: [client("client", 10), director(1), director(2), server(1, { http: 80 }), server(2, { http: 80 })],
  steps: [
    title(
      "The hosts",
      "As for direct routing, but nobody sets the VIP on the directors: whoever is master does.",
    ),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    title("The configurations", "keepalived's language; the second differs in its priority only."),
    file(1),
    file(2),
    start(1),
    start(2),
    title("The better one becomes master"),
    address(1, true),
    table(1),
    table(2),
    ask("client", site, 4),
    title("A client that goes on asking, about 30 times a second"),
    ...asking,
    ...gap(),
    title(
      "The master is stopped",
      "It resigns with its last advert (priority 0), so the other does not wait for long: for its skew, 0.12 s.",
    ),
    ...run("director1", "kill $(cat director1.pid)"),
    address(2, true),
    address(1, false),
    ...gap(),
    title("It comes back", "Its priority is the better one, so it takes the VIP again."),
    start(1),
    address(1, true),
    address(2, false),
    table(1),
    ...gap(),
    title(
      "The master is cut off",
      "Nobody resigns; the other waits for three adverts that do not come, and the skew: 0.72 s.",
    ),
    ...run("director1", "ip link set eth0 down"),
    address(2, true),
    ...gap(),
    title("The cable is back"),
    ...run("director1", "ip link set eth0 up"),
    address(1, true),
    address(2, false),
    ...gap(),
    title("What the second director says of it"),
    {
      kind: "run",
      on: "director2",
      command: "grep -oE 'VI_1\\) (Entering|Receive|Backup|Master).*' director2.log",
    },
  ],
  traced: { on: "client", ask: site },
};
