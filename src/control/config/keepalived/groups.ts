/**
 * `virtual_server_group`: addresses, ranges, nets and marks.
 * @module
 */
import { formatAddress, parseAddress } from "../../../wire/address.ts";
import type { Reader } from "./reader.ts";
import type { GroupDraft, GroupEntry } from "./server-draft.ts";
import type { Statement } from "./tree.ts";
import { type Address, addressOf, int } from "./values.ts";
import { port } from "./virtual-servers.ts";

/** Most services one line of a group may make. */
const MOST_ADDRESSES = 65536;

/** An address as a number. */
function toNumber(address: Address): bigint {
  const { bytes } = parseAddress(address.address) as { bytes: Uint8Array };
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function toAddress(family: 4 | 6, number: bigint): Address {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let i = bytes.length - 1, rest = number; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return { family, address: formatAddress(family, bytes) };
}

function span(family: 4 | 6, first: bigint, last: bigint): Address[] | string {
  if (last - first >= BigInt(MOST_ADDRESSES)) return `more than ${MOST_ADDRESSES} addresses in one line`;
  const found: Address[] = [];
  for (let n = first; n <= last; n++) found.push(toAddress(family, n));
  return found;
}

/** The addresses of `IP`, `IP-N`, `IP-IP` or `NET/LEN`; else what is wrong, in both wordings. */
function addresses(text: string): readonly Address[] | { message: string; own: string } {
  const single = addressOf(text);
  if (single) return [single];
  const fail = (message: string, own: string) => ({ message, own });
  const bad = fail(
    `"${text}" is no address, range or net`,
    `Invalid virtual server group IP address ${text}  - skipping`,
  );
  const [net, length, more] = text.split("/");
  if (length !== undefined && more === undefined) {
    const base = addressOf(net);
    const bits = base?.family === 6 ? 128 : 32;
    if (!base) return bad;
    if (!/^\d+$/.test(length) || Number(length) < 1 || Number(length) > bits) {
      return fail(
        `prefix length "${length}" is outside of 1..${bits}`,
        `Invalid netmask - ${text} - skipping`,
      );
    }
    const size = 1n << BigInt(bits - Number(length));
    const first = toNumber(base);
    if (first % size !== 0n) {
      const start = toAddress(base.family, first - (first % size)).address;
      return fail(
        `${net} is not the first address of a /${length}; that is ${start}`,
        `Address mask bits not empty - ${text} - skipping`,
      );
    }
    const found = span(base.family, first, first + size - 1n);
    return typeof found === "string" ? fail(found, "") : found;
  }
  const dash = text.indexOf("-");
  const from = dash > 0 ? addressOf(text.slice(0, dash)) : undefined;
  if (!from) return bad;
  const end = text.slice(dash + 1);
  const first = toNumber(from);
  const to = addressOf(end);
  let last: bigint;
  if (to !== undefined) {
    if (to.family !== from.family) {
      return fail(
        "both ends of a range must be of one family",
        `Range address families do not match ${text} - skipping`,
      );
    }
    last = toNumber(to);
  } else {
    const digits = from.family === 4 ? /^\d{1,3}$/ : /^[0-9a-f]{1,4}$/i;
    const value = Number.parseInt(end, from.family === 4 ? 10 : 16);
    const mask = from.family === 4 ? 0xffn : 0xffffn;
    if (!digits.test(end) || BigInt(value) > mask) {
      return fail(`"${end}" is no end of a range`, `Invalid range end ${text} - skipping`);
    }
    last = (first & ~mask) | BigInt(value);
  }
  if (last <= first) {
    return fail(
      `the end of ${text} does not come after its start`,
      `Address range end is not greater than address range start - ${text} - skipping`,
    );
  }
  const found = span(from.family, first, last);
  return typeof found === "string" ? fail(found, "") : found;
}

function entry(item: Statement, name: string, reader: Reader): GroupEntry | undefined {
  const [word, second, third, ...rest] = item.words;
  if (word.text === "fwmark") {
    if (second === undefined) {
      reader.error("missing-parameter", word, "fwmark needs a number after it");
      return undefined;
    }
    const own = `(${name}): fwmark '%s' must be in [0, 4294967295] - ignoring`;
    if (second.text === "0") {
      reader.error("bad-number", second, "mark 0 is no mark: packets have it when nobody marked them");
      return undefined;
    }
    const fwmark = int(second, 1, 4294967295, reader, own);
    if (third !== undefined && third.text !== "inet" && third.text !== "inet6") {
      reader.error("bad-value", third, `"${third.text}" is neither inet nor inet6`, {
        own: `(${name}): fwmark '${second.text}' family %s unknown - ignoring`,
      });
      return undefined;
    }
    if (fwmark === undefined) return undefined;
    const family = third === undefined ? {} : ({ family: third.text === "inet" ? 4 : 6 } as const);
    return { kind: "fwmark", word, fwmark, ...family };
  }
  const found = addresses(word.text);
  if ("message" in found) {
    const code = found.own === "" ? "too-much" : /range/.test(found.own) ? "bad-range" : "bad-address";
    reader.error(code, word, found.message, found.own === "" ? {} : { own: found.own });
    return undefined;
  }
  const number = port(second, reader);
  const surplus = [third, ...rest].filter((each) => each !== undefined);
  if (surplus.length > 0) {
    reader.warn("surplus-words", surplus[0], "one address and port stand on a line; the rest is ignored");
  }
  return number === undefined ? undefined : { kind: "address", word, addresses: found, port: number };
}

/** Reads a virtual_server_group. */
export function readGroup(statement: Statement, reader: Reader): GroupDraft {
  const [word, nameWord] = statement.words;
  const entries = (statement.block ?? []).flatMap((item) => entry(item, nameWord.text, reader) ?? []);
  return { word, nameWord, close: statement.close, entries };
}
