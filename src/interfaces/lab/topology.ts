/**
 * Draws a lab's hosts and networks as text: a line for every interface, a lane for every network.
 *
 *     client    eth0 192.168.1.10/24 ─┐ wan 192.168.1.0/24
 *     director  eth0 192.168.1.1/24  ─┘ VIP 192.168.1.100
 *               eth1 10.0.0.254/24   ─┐ lan 10.0.0.0/24
 *     rs1       eth0 10.0.0.1/24     ─┘
 * @module
 */
import type { Lab } from "./lab.ts";

interface Row {
  readonly host: string;
  readonly device: string;
  readonly address: string;
  readonly lane: number;
  readonly note: string;
}

/** The rows of the drawing: one for each interface, hosts in the lab's order. */
function rows(lab: Lab): Row[] {
  const lanes = new Map(lab.networks.map((network, index) => [network.name, index]));
  return lab.hosts.flatMap((host) =>
    host.nics.map((nic, index) => ({
      host: index === 0 ? host.name : "",
      device: nic.device,
      address: nic.addresses.join(" "),
      lane: lanes.get(nic.network)!,
      note: index === 0 ? (host.note ?? "") : "",
    })),
  );
}

/** The characters of the lanes on one row: the row's own lane is joined, others pass by. */
function lanesAt(index: number, lane: number, spans: readonly { first: number; last: number }[]): string {
  let text = "─";
  spans.forEach(({ first, last }, at) => {
    const passes = first < index && index < last;
    if (at < lane) text += passes ? "┼──" : "───";
    else if (at > lane) text += passes ? "│  " : "   ";
    else text += first === last ? "─  " : index === first ? "┐  " : index === last ? "┘  " : "┤  ";
  });
  return text;
}

/** The drawing, one line an element. */
export function draw(lab: Lab): string[] {
  const all = rows(lab);
  const spans = lab.networks.map((_, lane) => {
    const on = all.flatMap((row, index) => (row.lane === lane ? [index] : []));
    return { first: on[0] ?? 0, last: on.at(-1) ?? 0 };
  });
  const width = (pick: (row: Row) => string) => Math.max(...all.map((row) => pick(row).length));
  const [hostWidth, deviceWidth, addressWidth] = [
    width((row) => row.host),
    width((row) => row.device),
    width((row) => row.address),
  ];
  return all.map((row, index) => {
    const network = lab.networks[row.lane]!;
    const label = spans[row.lane]!.first === index ? `${network.name} ${network.cidr}` : "";
    const words = [label, row.note].filter((word) => word !== "").join(" · ");
    const left = `${row.host.padEnd(hostWidth)}  ${row.device.padEnd(deviceWidth)} ${row.address.padEnd(addressWidth)}`;
    return `${left} ${lanesAt(index, row.lane, spans)}${words}`.trimEnd();
  });
}
