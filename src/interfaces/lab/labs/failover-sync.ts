/**
 * Failover that clients do not notice: two directors that know each other's connections; a download outlives the death of its director.
 * @module
 */
import { http, type Lab, run, type Step, title } from "../lab.ts";
import { client, LAN, server, silentVip, VIP } from "./one-lan.ts";
import { address, director, file, start, table } from "./two-directors.ts";

const MEGABYTE = 1_000_000;

/** A client that downloads, and writes down how far it is, twenty times a second. */
const download: Step[] = [
  {
    kind: "file",
    on: "client",
    name: "download.sh",
    text: `( while [ ! -e done ]; do
    echo "$(date +%s.%N) $(stat -c %s download 2>/dev/null || echo 0)"
    sleep 0.05
done > progress.log ) &
curl -sS -o download http://${VIP}/download > curl.log 2>&1
echo "curl ended with status $?" > done
`,
  },
  { kind: "daemon", on: "client", command: "sh download.sh", output: "download.log" },
];

/** How far the download is, once it is past so many megabytes. */
const past = (megabytes: number): Step => ({
  kind: "until",
  on: "client",
  command: "stat -c '%s bytes' download",
  holds: (output) => Number.parseInt(output, 10) > megabytes * MEGABYTE,
});

const pause: Step[] = run(
  "client",
  `awk '$2 > size { if (size && $1 - last > most) most = $1 - last; last = $1; size = $2 } END { printf "longest pause %.2f s\\n", most }' progress.log`,
);

/** What a machine is when its power fails: no cable, no process, nothing in the kernel, no address. */
const powerOff: Step[] = [
  {
    kind: "file",
    on: "director1",
    name: "power-off.sh",
    text: `ip link set eth0 down
here=$(readlink /proc/self/ns/net)
for process in /proc/[0-9]*; do
    number=\${process#/proc/}
    [ "$(readlink $process/ns/net)" = "$here" ] && [ $number != $$ ] && [ $number != $PPID ] && kill -9 $number
done
lvsd planes reset 2> /dev/null
ip addr flush dev eth0
`,
  },
  ...run("director1", "sh power-off.sh"),
];

/** The connection in the table of a director. */
const known = (number: 1 | 2): Step => ({
  kind: "until",
  on: `director${number}`,
  command: "ipvsadm -Lnc",
  holds: (output) => output.includes("ESTABLISHED"),
});

export const failoverSync: Lab = {
  name: "failover-sync",
  title: "Failover that nobody notices: a download outlives its director",
  about:
    "Two directors with one address, as in the lab failover, and connection sync between them: the master announces its connections, the " +
    "backup has them in its table. When the master dies, the other goes on with them; when it comes back, it asks for the whole table first.",
  networks: [LAN],
  hosts: [client("client", 10), director(1), director(2), server(1, { http: 80 }), server(2, { http: 80 })],
  steps: [
    title("The hosts", "As for direct routing; VRRP sets the VIP on the master."),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    title("The configurations", "lvs_sync_daemon says on which interface, and whose role it follows."),
    file(1, true),
    file(2, true),
    title("A key that both directors have", "With it a returning director can ask for the whole table."),
    ...run("director1", "lvsd sync key --generate sync.key"),
    start(1, true),
    start(2, true),
    address(1, true),
    table(1),
    table(2),
    title("A download begins", "One connection; the server sends a megabyte a second."),
    ...download,
    past(2),
    title("The backup knows it"),
    known(2),
    title("The power of the master fails"),
    ...powerOff,
    address(2, true),
    past(5),
    ...pause,
    title("It boots", "It has the whole table of its peer before it takes the VIP back."),
    ...run("director1", "ip link set eth0 up", "ip addr add 192.168.80.101/24 dev eth0"),
    start(1, true),
    address(1, true),
    address(2, false),
    ...run("director1", "grep -oE 'the whole connection table.*' director1.log"),
    known(1),
    ...run("director1", "lvsd status | sed -n '/^connection sync/,$p'"),
    title("The download ends, on the connection that it began on"),
    {
      kind: "until",
      on: "client",
      command: "cat done",
      holds: (output) => output.includes("status"),
    },
    ...run("client", "stat -c '%s bytes' download"),
    ...pause,
  ],
  traced: { on: "client", ask: http(`http://${VIP}/`) },
};
