/**
 * FTP (RFC 959): log in, fetch one file in passive mode, look into it. With TLS from the first byte, for the data too (ftps).
 * @module
 */
import { TLSSocket } from "node:tls";
import { CheckFailure, type Outcome } from "./attempt.ts";
import type { FailureReason } from "./check.ts";
import { Dialogue } from "./connection.ts";
import { oneLine, type Protocol, quote, requestOf } from "./protocol.ts";

/** Most bytes of the file that are looked at. */
const FILE_LIMIT = 1 << 20;
/** Most lines of one reply. */
const LINES_LIMIT = 500;

/** The last line of a reply; one of several lines begins with `220-` and ends with `220 `. */
async function reply(server: Dialogue, waitingFor: string): Promise<string> {
  const first = await server.line(waitingFor);
  if (!/^\d{3}-/.test(first)) return first;
  const end = `${first.slice(0, 3)} `;
  for (let i = 0; i < LINES_LIMIT; i++) {
    const line = await server.line(waitingFor);
    if (line.startsWith(end)) return line;
  }
  throw new CheckFailure("answer", `a reply of over ${LINES_LIMIT} lines`);
}

export const ftp: Protocol = async (run, spec, pattern): Promise<Outcome> => {
  const { target, login, password, tls } = spec;
  const server = await Dialogue.open(run, target, tls ? {} : undefined);
  const expect = (line: string, codes: RegExp, reason: FailureReason, to: string): string => {
    if (codes.test(line)) return line;
    throw new CheckFailure(reason, `${to} answered ${quote(line)}`);
  };
  const ask = async (command: string, codes: RegExp, reason: FailureReason = "answer"): Promise<string> => {
    server.say(`${oneLine(command)}\r\n`);
    const [verb = ""] = command.split(" ");
    return expect(await reply(server, `waiting for the answer to ${verb}`), codes, reason, verb);
  };

  expect(await reply(server, "waiting for the greeting"), /^220/, "greeting", "greeting");
  const user = await ask(`USER ${login}`, /^(230|331|332)/, "login");
  if (!user.startsWith("230")) await ask(`PASS ${password}`, /^2/, "login");
  if (tls) {
    await ask("PBSZ 0", /^2/);
    await ask("PROT P", /^2/);
  }
  await ask("CWD /", /^2/);
  await ask("TYPE I", /^2/);
  const port = await dataPort(target.family, ask);

  const { bindPort: _, ...origin } = target; // the source port is taken by this connection
  server.say(`RETR ${oneLine(requestOf(spec))}\r\n`);
  const session = server.socket instanceof TLSSocket ? server.socket.getSession() : undefined;
  const data = Dialogue.open(run, { ...origin, port }, tls ? { session } : undefined);
  data.catch(() => {}); // told below, unless RETR is refused first
  expect(await reply(server, "waiting for the answer to RETR"), /^1/, "answer", "RETR");
  const file = await (await data).rest(FILE_LIMIT, "reading the file");
  if (pattern && !pattern.accepts(file)) throw new CheckFailure("pattern", `the file ${pattern.complaint}`);
  server.say("QUIT\r\n");
  return { ok: true, detail: `fetched ${file.length} bytes` };
};

/**
 * The port for the data. Its address is the server's own, whatever PASV says: servers behind NAT name one that nobody reaches.
 */
async function dataPort(
  family: 4 | 6,
  ask: (command: string, codes: RegExp) => Promise<string>,
): Promise<number> {
  if (family === 6) {
    const line = await ask("EPSV", /^229/);
    const port = /\(\|\|\|(\d+)\|\)/.exec(line)?.[1];
    if (port !== undefined) return Number(port);
    throw new CheckFailure("answer", `EPSV answered ${quote(line)}`);
  }
  const line = await ask("PASV", /^227/);
  const numbers = /(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)/.exec(line);
  if (numbers) return ((Number(numbers[5]) & 255) << 8) | (Number(numbers[6]) & 255);
  throw new CheckFailure("answer", `PASV answered ${quote(line)}`);
}
