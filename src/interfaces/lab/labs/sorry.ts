/**
 * Sorry server: ldirectord takes web servers that fall out of the table, and a sorry page in when none is left.
 * @module
 */
import { ask, http, type Lab, type Step, title } from "../lab.ts";
import { client, director, directorVip, LAN, server, silentVip, VIP } from "./one-lan.ts";

const site = http(`http://${VIP}/`);

const CONFIG = `checkinterval=1
checktimeout=2
supervised=yes
virtual=${VIP}:80
        real=192.168.80.102:80 gate
        real=192.168.80.103:80 gate
        fallback=127.0.0.1:80 gate
        service=http
        scheduler=rr
        protocol=tcp
        checktype=negotiate
        checkport=80
        request="index.html"
        receive="answers"
`;

/** The table, once these and no others are in it. */
const table = (...servers: readonly string[]): Step => ({
  kind: "until",
  on: "director",
  command: "ipvsadm -Ln",
  holds(output) {
    const entries = [...output.matchAll(/^ {2}-> (\d[\d.]+):/gm)].map(([, address]) => address);
    return entries.length === servers.length && servers.every((address) => entries.includes(address));
  },
});

const serving = (on: string, up: boolean): Step => ({ kind: "serving", on, up });

/** Whose turn it is first depends on who was checked first. */
const spread: Step = { kind: "ask", on: "client", ask: site, times: 4, brief: true };

const [RS1, RS2, SORRY] = ["192.168.80.102", "192.168.80.103", "127.0.0.1"] as const;

export const sorry: Lab = {
  name: "sorry",
  title: "Sorry server: ldirectord watches two web servers, and apologises when both are gone",
  about:
    "ldirectord asks both web servers for a page every second. One that does not answer leaves the table; when none is left, the " +
    "director's own web server answers for them. Whoever comes back goes in again.",
  networks: [LAN],
  hosts: [
    client("client", 10),
    {
      ...director,
      serves: { address: SORRY, http: 80, says: "sorry, no real server is up" },
    },
    server(1, { http: 80 }),
    server(2, { http: 80 }),
  ],
  steps: [
    title("The hosts", "As for direct routing."),
    ...silentVip("rs1"),
    ...silentVip("rs2"),
    ...directorVip,
    title("The configuration"),
    { kind: "file", on: "director", name: "sorry.cf", text: CONFIG },
    title(
      "Started, it makes the rules itself",
      "supervised=yes keeps it in the foreground, its log on standard output.",
    ),
    { kind: "daemon", on: "director", command: "ldirectord sorry.cf start", output: "ldirectord.log" },
    table(RS1, RS2),
    spread,
    title("One server stops"),
    serving("rs1", false),
    table(RS2),
    ask("client", site, 4),
    title("Both are stopped"),
    serving("rs2", false),
    table(SORRY),
    ask("client", site, 2),
    title("One comes back, then the other"),
    serving("rs2", true),
    table(RS2),
    ask("client", site, 2),
    serving("rs1", true),
    table(RS1, RS2),
    spread,
    title("What ldirectord says of it"),
    { kind: "run", on: "director", command: "grep -oE '(Deleted|Added fallback).*' ldirectord.log" },
  ],
  traced: { on: "client", ask: site },
};
