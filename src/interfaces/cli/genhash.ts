/**
 * genhash: the digest of a page, as HTTP_GET and SSL_GET of keepalived.conf want it. Options, output and exit status are those of
 * genhash in keepalived 2.2.7: the status is 0 also when the server does not answer.
 * @module
 */
import { attempt, CheckFailure, type Outcome } from "../../control/checks/attempt.ts";
import { USER_AGENT } from "../../control/checks/http.ts";
import { exchange, hostPort } from "../../control/checks/http-exchange.ts";
import type { HttpResponse } from "../../control/checks/http-response.ts";
import { parseAddress } from "../../wire/address.ts";

const OPTIONS = {
  "use-ssl": { short: "S", value: false },
  "use-sni": { short: "I", value: false },
  server: { short: "s", value: true },
  port: { short: "p", value: true },
  url: { short: "u", value: true },
  "use-virtualhost": { short: "V", value: true },
  verbose: { short: "v", value: false },
  help: { short: "h", value: false },
  fwmark: { short: "m", value: true },
  protocol: { short: "P", value: true },
  timeout: { short: "t", value: true },
} as const;
type OptionName = keyof typeof OPTIONS;
const NAMES = Object.keys(OPTIONS) as OptionName[];

const usage = (command: string): string => `Usage: ${command} COMMAND [OPTIONS]
Commands:
   -s server-address -p port -u url
   -S -s server-address -p port -u url
   -h

Options:
Either long or short options are allowed.
   --use-ssl         -S       Use SSL connection to remote server.
   --use-sni         -I       Use SNI during SSL handshake (uses virtualhost setting; see -V).
   --server          -s       Use the specified remote server address.
   --port            -p       Use the specified remote server port.
   --url             -u       Use the specified remote server url.
   --use-virtualhost -V       Use the specified virtualhost in GET query.
   --verbose         -v       Use verbose mode output.
   --help            -h       Display this short inlined help screen.
   --fwmark          -m       Use the specified FW mark.
   --protocol        -P       Use the specified HTTP protocol - '1.0', 1.0c', '1.1'.
                                1.0c means 1.0 with 'Connection: close'
   --timeout         -t       Timeout in seconds
`;

/** The usage is to be shown, after this message. */
class UsageError extends Error {}

/** Where the output goes; tests listen in. */
export interface GenhashIo {
  out(text: string): void;
  err(text: string): void;
}

const PROCESS_IO: GenhashIo = {
  out: (text) => void process.stdout.write(text, "latin1"),
  err: (text) => void process.stderr.write(text),
};

/** Runs genhash; `command` is what the usage calls it. Resolves with the exit status. */
export async function genhash(
  words: readonly string[],
  command = "keepalived --genhash",
  io: GenhashIo = PROCESS_IO,
): Promise<number> {
  let request: Request;
  try {
    request = readRequest(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`${error.message === "" ? "" : `${error.message}\n`}${usage(command)}`);
    return 1;
  }
  const startedAt = performance.now();
  await fetchAndPrint(request, io);
  if (request.verbose) {
    const microseconds = Math.round((performance.now() - startedAt) * 1000);
    io.out(`\nGlobal response time for [${request.url}] = ${microseconds} usecs\n`);
  }
  return 0;
}

interface Request {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly url: string;
  readonly tls: boolean;
  readonly sni: boolean;
  readonly virtualhost: string | undefined;
  readonly verbose: boolean;
  readonly fwmark: number;
  readonly version: "1.0" | "1.0C" | "1.1";
  readonly timeoutMs: number;
}

/** @throws UsageError */
function readRequest(words: readonly string[]): Request {
  const given = readWords(words);
  const { server, port, url } = given;
  if (given.help !== undefined) throw new UsageError("");
  const number = (
    text: string | undefined,
    fallback: number,
    least: number,
    most: number,
    what: string,
  ): number => {
    if (text === undefined) return fallback;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UsageError(`invalid ${what} '${text}'`);
  };
  const address = server === undefined ? undefined : parseAddress(server);
  if (server !== undefined && !address) throw new UsageError(`server should be an IP, not ${server}`);
  const portNumber = number(port, 0, 1, 65535, "port number");
  const fwmark = number(given.fwmark, 0, 0, 0xffffffff, "fwmark");
  const timeoutMs = number(given.timeout, 5, 1, 0x7fffffff / 1000, "timeout") * 1000;
  const protocol = (given.protocol ?? "1.0").toUpperCase();
  if (protocol !== "1.0" && protocol !== "1.0C" && protocol !== "1.1")
    throw new UsageError(`invalid HTTP protocol version '${given.protocol}'`);
  if (!address || server === undefined || portNumber === 0 || url === undefined) throw new UsageError("");
  return {
    family: address.family,
    address: server,
    port: portNumber,
    url,
    tls: given["use-ssl"] !== undefined,
    sni: given["use-sni"] !== undefined,
    virtualhost: given["use-virtualhost"],
    verbose: given.verbose !== undefined,
    fwmark,
    version: protocol,
    timeoutMs,
  };
}

/** Words as getopt_long(3) reads them. @throws UsageError */
function readWords(words: readonly string[]): Partial<Record<OptionName, string>> {
  const given: Partial<Record<OptionName, string>> = {};
  const stray: string[] = [];
  const rest = [...words];
  const valueFor = (option: string, joined: string | undefined): string => {
    const value = joined ?? rest.shift();
    if (value === undefined) throw new UsageError(`Missing parameter for option ${option}`);
    return value;
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") stray.push(...rest.splice(0));
    else if (word.startsWith("--")) {
      const [text = "", ...joined] = word.slice(2).split("=");
      const exact = NAMES.filter((name) => name === text);
      const [name, second] = exact.length > 0 ? exact : NAMES.filter((each) => each.startsWith(text));
      if (name === undefined || second !== undefined) throw new UsageError("");
      if (OPTIONS[name].value)
        given[name] = valueFor(`--${name}`, joined.length > 0 ? joined.join("=") : undefined);
      else if (joined.length > 0) throw new UsageError("");
      else given[name] = "";
    } else if (word.startsWith("-") && word.length > 1) {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        const name = NAMES.find((each) => OPTIONS[each].short === letter);
        if (name === undefined) throw new UsageError("");
        given[name] = "";
        if (!OPTIONS[name].value) continue;
        given[name] = valueFor(`-${letter}`, at + 1 < word.length ? word.slice(at + 1) : undefined);
        break;
      }
    } else stray.push(word);
  }
  if (stray.length > 0) throw new UsageError(`Unexpected argument(s): ${stray.join(" ")}`);
  return given;
}

/** MD5 of nothing. */
const EMPTY_DIGEST = "d41d8cd98f00b204e9800998ecf8427e";

const title = (text: string): string => `-----------------------[${text}]-----------------------\n`;

async function fetchAndPrint(request: Request, io: GenhashIo): Promise<void> {
  const { verbose, url, version, virtualhost, timeoutMs } = request;
  const { family, address, port, fwmark } = request;
  const target = { family, address, port, ...(fwmark && { fwmark }) };
  let header = Buffer.alloc(0);
  let bodyLeft: number | undefined;
  const dumpBody = (bytes: Buffer): void => {
    const part = bytes.subarray(0, bodyLeft);
    if (bodyLeft !== undefined) bodyLeft -= part.length;
    io.out(hexDump(part));
  };
  let inBody = false;
  const dump = (bytes: Buffer, response: HttpResponse): void => {
    if (inBody) {
      dumpBody(bytes);
      return;
    }
    io.out(title("    HTTP Header Buffer    "));
    header = Buffer.concat([header, bytes]);
    const { headerLength } = response;
    if (headerLength === undefined) return;
    inBody = true;
    bodyLeft = response.contentLength;
    const head = header.subarray(0, headerLength);
    io.out(hexDump(head));
    io.out(`${title(" HTTP Header Ascii Buffer ")}${head.toString("latin1")}\n`);
    if (header.length === headerLength) return;
    io.out(title("        HTML Buffer        "));
    dumpBody(header.subarray(headerLength));
  };
  const verdict = await attempt(timeoutMs, new AbortController().signal, async (run): Promise<Outcome> => {
    const response = await exchange(
      run,
      target,
      request.tls ? { sni: request.sni ? virtualhost : undefined } : undefined,
      { method: "GET", path: url, version, host: virtualhost ?? hostPort(target), userAgent: USER_AGENT },
      { keepBody: false, digest: true, decode: false, head: false },
      verbose ? dump : undefined,
    );
    if (response.headerLength === undefined) throw new CheckFailure("closed", "no header");
    return { ok: true, detail: response.digest() };
  });
  const nothing = verdict.reason === "closed" || verdict.reason === "reset";
  if ((verdict.ok || nothing) && verbose) {
    const digest = verdict.ok ? verdict.detail : EMPTY_DIGEST;
    io.out(`\n${title("    HTML hash resulting    ")}${hexDump(Buffer.from(digest, "hex"))}`);
    io.out(title(" HTML hash final resulting "));
  }
  if (verdict.ok) io.out(`${verdict.detail}\n`);
  else if (nothing) io.err("no data received from remote webserver\n");
  else if (verdict.reason === "tls") io.out("SSL handshake/communication error connecting to\n");
  else if (verdict.reason === "timeout" && !/connecting/.test(verdict.detail)) io.out("Timeout WEB read\n");
  else io.out("Connection failed\n");
}

/** Sixteen bytes a line: decimal offset, hex digits, characters. */
export function hexDump(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = Array.from({ length: 16 }, (_, i) => {
      const byte = row[i];
      return `${byte === undefined ? "  " : byte.toString(16).padStart(2, "0")} ${i === 7 ? "- " : ""}`;
    }).join("");
    const characters = row
      .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
      .join("");
    text += `${String(at).padStart(4, "0")}  ${hex}  ${characters.padEnd(16)}\n`;
  }
  return text;
}
