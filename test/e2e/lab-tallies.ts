/**
 * What the clients of every lab get to see, whatever data plane directs them: which servers answered, a line a step.
 * @module
 */

export interface Seen {
  readonly tallies: readonly string[];
  /** A line of what the lab prints. */
  readonly shows?: RegExp;
}

export const SEEN: Readonly<Record<string, Seen>> = {
  nat: { tallies: ["rs1 2, rs2 2, rs3 2", "rs2 2, rs3 2"], shows: /-> 10\.0\.0\.1:80 +Masq +1 +0 +2/ },
  dr: { tallies: ["rs1 3, rs2 3"], shows: /-> 192\.168\.80\.102:80 +Route +1 / },
  tun: { tallies: ["rs1 3, rs2 3"], shows: /-> 172\.18\.42\.121:80 +Tunnel +1 / },
  fullnat: { tallies: ["rs1 3, rs2 3"], shows: /^rs1 \S+ answers 10\.0\.0\.20[01]$/m },
  fwmark: {
    tallies: ["rs1 1, rs2 1", "rs1 1, rs2 1"],
    shows: /^FWM {2}9 rr\n {2}-> 192\.168\.80\.102:0 +Route +1 +\d+ +\d+ *\n/m,
  },
  persistence: {
    tallies: ["rs2 3", "rs1 3", "rs2 2", "rs2 2", "rs2 2", "rs2 2", "rs2 2", "rs1 2", "rs1 2"],
    shows: /^TCP {2}192\.168\.80\.200:80 rr persistent 360$/m,
  },
  local: { tallies: ["director 2, rs1 2", "director 2, rs1 2"] },
  ipv6: { tallies: ["rs1 3, rs2 3"], shows: /^TCP {2}\[2001:db8:1::100\]:80 rr/m },
  udp: { tallies: ["rs1 3, rs2 3", "rs2 3"] },
  sorry: {
    tallies: ["rs1 2, rs2 2", "rs2 4", "director 2", "rs2 2", "rs1 2, rs2 2"],
    shows: /answers 192\.168\.80\.10: sorry, no real server is up$/m,
  },
  failover: { tallies: ["rs1 2, rs2 2"], shows: /^\d+ answers, at most [0-4]\.\d+ s apart$/m },
};

/** The tallies that a lab printed. */
export const talliesOf = (text: string): string[] =>
  [...text.matchAll(/^ {2}→ (.*)$/gm)].map(([, tally]) => tally!);
