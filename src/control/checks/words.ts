/**
 * keepalived's own words for what a check found, as its log and its mail have them (2.2.7).
 * @module
 */
import type { CheckSpec, Verdict } from "./check.ts";

/** What the words are about. */
export interface WordsAbout {
  /** The real server: `[10.0.0.2]:tcp:80`. @default made from the target of the check */
  readonly server?: string;
  /** The virtual server, same form. */
  readonly service?: string;
  /** Failures that were forgiven before; 0 or absent: `failed.` */
  readonly retries?: number;
}

/** Kinds over UDP have it in the name of the server. */
const overUdp = (spec: CheckSpec): boolean =>
  spec.kind === "udp" || spec.kind === "radius" || (spec.kind === "dns" && spec.transport !== "tcp");

const serverOf = (spec: CheckSpec, about: WordsAbout): string =>
  about.server ?? `[${spec.target.address}]:${overUdp(spec) ? "udp" : "tcp"}:${spec.target.port}`;

/**
 * The line for a server that goes up (`verdict.ok`) or down by this check; empty where keepalived is silent. Kinds that keepalived
 * does not have speak in the same manner.
 */
export function keepalivedWords(spec: CheckSpec, verdict: Verdict, about: WordsAbout = {}): string {
  const server = serverOf(spec, about);
  const { retries = 0 } = about;
  const failed = retries > 0 ? `failed after ${retries} retries.` : "failed.";
  const after = retries > 0 ? ` after ${retries} retries.` : ".";
  const { ok } = verdict;
  switch (spec.kind) {
    case "tcp":
      return ok ? `TCP connection to ${server} success.` : `TCP_CHECK on service ${server} ${failed}`;
    case "http":
      return ok
        ? `Remote Web server ${server} succeed on service.`
        : `HTTP_CHECK on service ${server} ${failed}`;
    case "smtp":
      return ok
        ? `Remote SMTP server ${server} succeed on service.`
        : `SMTP_CHECK ${smtpReason(verdict, server)}${retries > 0 ? ` after ${retries} retries` : ""}`;
    case "udp":
      return ok ? `UDP connection to ${server} success.` : `UDP_CHECK on service ${server} ${failed}`;
    case "ping":
      return ok
        ? `ICMP connection to ${server} success.`
        : `ICMP CHECK on service ${server}${about.service ? ` of ${about.service}` : ""} ${failed}`;
    case "dns":
      return ok ? "" : `DNS_CHECK (${server}) ${verdict.detail}${after}`;
    case "misc":
      return miscWords(spec, verdict, about, server);
    case "file":
    case "always":
      return "";
    case "hybrid":
      return keepalivedWords(spec.full, verdict, about);
    default:
      return `${labelOf(spec)} check on service ${server} ${ok ? "succeeded." : `${failed.slice(0, -1)}: ${verdict.detail}.`}`;
  }
}

/** The line for a single failure that does not take the server down (log_all_failures). */
export function keepalivedFailureWords(spec: CheckSpec, verdict: Verdict, about: WordsAbout = {}): string {
  const server = serverOf(spec, about);
  switch (spec.kind) {
    case "tcp":
      return `TCP connection to ${server} ${verdict.reason === "timeout" ? "timeout" : "failed"}.`;
    case "udp":
      return `UDP connection to ${server} ${verdict.reason === "timeout" ? "timeout" : "failed"}.`;
    case "ping":
      return `ICMP connection to ${server} ${verdict.reason === "timeout" ? "timeout" : "failed"}.`;
    case "http":
      return httpReason(spec, verdict, server);
    case "smtp":
      return `SMTP_CHECK ${smtpReason(verdict, server)}`;
    case "dns":
      return `DNS_CHECK (${server}) ${verdict.detail}.`;
    case "misc":
      return miscWords(spec, verdict, about, server);
    case "hybrid":
      return keepalivedFailureWords(spec.full, verdict, about);
    default:
      return `${labelOf(spec)} check on service ${server} failed: ${verdict.detail}.`;
  }
}

/** The body of a mail about a server that goes up or down by this check. */
export function keepalivedMailWords(spec: CheckSpec, ok: boolean): string {
  const outcome = `${ok ? "succeed" : "failed"} on service`;
  switch (spec.kind) {
    case "tcp":
      return `=> TCP CHECK ${outcome} <=`;
    case "udp":
      return `=> UDP CHECK ${outcome} <=`;
    case "ping":
      return `=> ICMP CHECK ${outcome} <=`;
    case "dns":
      return `=> DNS_CHECK: ${outcome} <=`;
    case "misc":
      return `=> MISC CHECK ${outcome} <=`;
    case "hybrid":
      return keepalivedMailWords(spec.full, ok);
    default:
      return `=> CHECK ${outcome} <=`;
  }
}

function httpReason(spec: CheckSpec & { kind: "http" }, { reason }: Verdict, server: string): string {
  switch (reason) {
    case "status":
      return `HTTP status code error to server ${server}.`;
    case "digest":
      return `MD5 digest error to server ${server}.`;
    case "pattern":
      return `Regex match failed to server ${server}.`;
    case "timeout":
      return `Timeout connecting server ${server}.`;
    case "tls":
      return `SSL handshake/communication error connecting to server ${server}.`;
    case "refused":
    case "unreachable":
    case "local":
      return `${spec.tls ? "SSL" : "HTTP"} connection to ${server} failed.`;
    default:
      return `Read error from server ${server}.`;
  }
}

function smtpReason({ reason, detail }: Verdict, server: string): string {
  switch (reason) {
    case "greeting":
      return `Bad greeting banner from server ${server}`;
    case "answer":
      return `Bad HELO/EHLO response from server ${server}`;
    case "timeout":
      return /connecting/.test(detail)
        ? `Connection timeout to server ${server}`
        : `Read timeout from server ${server}`;
    case "closed":
    case "reset":
      return `Read error from server ${server}`;
    default:
      return `Connection failed to server ${server}`;
  }
}

function miscWords(
  spec: CheckSpec & { kind: "misc" },
  verdict: Verdict,
  { service, retries = 0 }: WordsAbout,
  server: string,
): string {
  const start = `Misc check for [${server}${service ? ` ${service}` : ""}] by [${spec.command[0] ?? ""}]`;
  if (verdict.ok) return `${start} succeeded.`;
  const disabled = retries > 0 ? `after ${retries} retries` : "with retry disabled";
  return verdict.reason === "timeout"
    ? `${start} timed out ${disabled}.`
    : `${start} failed ${disabled} (${verdict.detail}).`;
}

/** A kind that only ldirectord has. */
function labelOf(spec: CheckSpec): string {
  if (spec.kind === "dialogue") return spec.protocol.toUpperCase();
  if (spec.kind === "sql") return spec.engine;
  return spec.kind.toUpperCase();
}
