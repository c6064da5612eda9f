/**
 * Reading /proc/net/ip_vs_conn: one line a connection, addresses and ports in hexadecimal, the rest of its life in seconds.
 *
 *     Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
 *     TCP 0A010002 9C43 0A010064 0050 0A02000C 1F90 ESTABLISHED     898
 *
 * The file does not tell the forwarding method nor counters; those stay undefined.
 * @module
 */
import type { ConnectionStatus } from "../../core/connection.ts";
import type { Family } from "../../core/service.ts";
import { format4, formatAddress, parseAddress } from "../../wire/address.ts";

interface Address {
  readonly family: Family;
  readonly text: string;
}

/** `0A010002`, or eight groups of four digits. */
function readAddress(word: string): Address | undefined {
  if (/^[0-9A-F]{8}$/i.test(word)) return { family: 4, text: format4(Number.parseInt(word, 16)) };
  const parsed = parseAddress(word.replace(/^\[|\]$/g, ""));
  return parsed?.family === 6 ? { family: 6, text: formatAddress(6, parsed.bytes) } : undefined;
}

/** The mark in the virtual address of a fwmark service's template. */
function markOf({ text }: Address): number {
  const bytes = parseAddress(text)!.bytes;
  return new DataView(bytes.buffer).getUint32(0);
}

const PROTOCOLS: Readonly<Record<string, ConnectionStatus["protocol"]>> = {
  TCP: "tcp",
  UDP: "udp",
  SCTP: "sctp",
  IP: "ip",
};

/** Reads one line; undefined for the title and for what is no connection. */
export function parseConnection(line: string): ConnectionStatus | undefined {
  const words = line.trim().split(/\s+/);
  const protocol = PROTOCOLS[words[0]];
  if (!protocol || words.length < 9) return undefined;
  const [client, virtual, server] = [words[1], words[3], words[5]].map(readAddress);
  const [clientPort, virtualPort, destinationPort] = [words[2], words[4], words[6]].map((w) =>
    Number.parseInt(w, 16),
  );
  if (!client || !virtual || !server) return undefined;
  const state = words[7];
  return {
    family: client.family,
    protocol,
    state,
    expiresMs: Number(words[8]) * 1000,
    client: client.text,
    clientPort,
    virtual: virtual.text,
    virtualPort,
    destinationFamily: server.family,
    destination: server.text,
    destinationPort,
    // A connection has a client's port, or for the odd client that uses port 0 a protocol state.
    template: protocol === "ip" || (clientPort === 0 && (state === "NONE" || state === "ASSURED")),
    fwmark: protocol === "ip" ? markOf(virtual) : 0,
    ...(words.length > 9 ? { engine: { name: words[9], data: words.slice(10).join(" ") } } : {}),
  };
}

/** The connections in chunks of the file's text. */
export function* parseConnections(chunks: Iterable<string>): Generator<ConnectionStatus> {
  let rest = "";
  for (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const connection = parseConnection(line);
      if (connection) yield connection;
    }
  }
  const last = parseConnection(rest);
  if (last) yield last;
}
