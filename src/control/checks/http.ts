/**
 * A web server answers as wanted: status, digest of the body, pattern in it (keepalived's HTTP_GET and SSL_GET, ldirectord's http,
 * https and http_proxy). One connection a url, one url a check, in turn.
 *
 * Certificates are not looked at: the question is whether the server lives.
 * @module
 */
import { readFileSync } from "node:fs";
import { parseAddress } from "../../wire/address.ts";
import { type Attempt, attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, CheckTarget, UrlSpec, Verdict } from "./check.ts";
import { secureContext, type TlsOptions } from "./connection.ts";
import { exchange, hostPort } from "./http-exchange.ts";
import type { HttpResponse } from "./http-response.ts";
import { type Pattern, patternOf } from "./pattern.ts";

type HttpSpec = CheckSpec & { readonly kind: "http" };

/** What keepalived-2.2.7 calls itself. */
export const USER_AGENT = "KeepAliveClient";
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const SUCCESS: UrlSpec["statusCodes"] = [[200, 299]];

/** Where one request of a chain of redirects goes. */
interface Stop {
  readonly target: CheckTarget;
  readonly tls: boolean;
  readonly path: string;
  readonly host: string;
  readonly sni: string | undefined;
}

export class HttpChecker implements Checker {
  readonly #spec: HttpSpec;
  readonly #patterns: readonly (Pattern | undefined)[];
  #tls: TlsOptions | undefined;
  /** The url whose turn it is. */
  #turn = 0;
  /** Urls that passed one after the other since the last failure. */
  #passed = 0;
  #failed = false;

  constructor(spec: HttpSpec) {
    this.#spec = spec;
    this.#patterns = spec.urls.map((url) => patternOf(url.pattern));
  }

  async check(signal: AbortSignal): Promise<Verdict> {
    const { urls, fastRecovery, timeoutMs } = this.#spec;
    let latencyMs = 0;
    for (;;) {
      const verdict = await attempt(timeoutMs, signal, (run) => this.#ask(run, this.#turn));
      latencyMs += verdict.latencyMs;
      if (!verdict.ok) {
        // The url that failed is asked first next time.
        if (verdict.reason !== "aborted") this.#failed = true;
        this.#passed = 0;
        return { ...verdict, latencyMs };
      }
      this.#turn = (this.#turn + 1) % Math.max(1, urls.length);
      this.#passed++;
      const partial = this.#passed < urls.length;
      if (partial && fastRecovery && this.#failed) continue;
      if (!partial) this.#failed = false;
      return { ...verdict, latencyMs, ...(partial && { partial }) };
    }
  }

  close(): void {}

  async #ask(run: Attempt, turn: number): Promise<Outcome> {
    const spec = this.#spec;
    const url = spec.urls[turn];
    if (!url) throw new CheckFailure("local", "no url to ask for");
    let stop: Stop = {
      target: spec.target,
      tls: spec.tls,
      path: url.path,
      host: url.virtualhost ?? hostPort(spec.target),
      sni: url.sni ?? spec.sni,
    };
    for (let redirects = 0; ; redirects++) {
      const response = await exchange(
        run,
        stop.target,
        stop.tls ? this.#tlsOptions(stop.sni) : undefined,
        {
          method: spec.method,
          path: stop.path,
          version: spec.version,
          host: stop.host,
          userAgent: spec.userAgent ?? USER_AGENT,
        },
        {
          keepBody: url.pattern !== undefined,
          digest: url.digest !== undefined,
          decode: spec.decodeBody ?? (spec.redirects ?? 0) > 0,
          head: spec.method === "HEAD",
        },
      );
      const location = response.header("location");
      const redirected = REDIRECTS.has(response.status ?? 0) && location !== undefined;
      if (!redirected || redirects >= (spec.redirects ?? 0)) return this.#judge(response, url, turn);
      stop = follow(stop, location);
    }
  }

  /** In keepalived's order: status, digest, pattern. */
  #judge(response: HttpResponse, url: UrlSpec, turn: number): Outcome {
    const pattern = this.#patterns[turn];
    const bare = url.statusCodes.length === 0 && url.digest === undefined && !pattern;
    const codes = bare ? SUCCESS : url.statusCodes;
    const { status } = response;
    if (codes.length > 0) {
      if (status === undefined) throw new CheckFailure("answer", "the answer is not HTTP");
      if (!codes.some(([from, to]) => status >= from && status <= to))
        throw new CheckFailure("status", `status ${status}, wanted ${spellCodes(codes)}`);
    }
    if (url.digest !== undefined) {
      const digest = response.digest();
      if (digest !== url.digest)
        throw new CheckFailure("digest", `digest of ${url.path} is ${digest}, wanted ${url.digest}`);
    }
    if (pattern) {
      const { body } = response;
      const { patternOffset: at } = url;
      const good = at
        ? pattern.acceptsWithin(body, at.min, at.max > 0 ? at.max : Number.POSITIVE_INFINITY)
        : pattern.accepts(body);
      if (!good) throw new CheckFailure("pattern", `the body of ${url.path} ${pattern.complaint}`);
    }
    const { contentLength, bodyLength } = response;
    const remark =
      url.reportLength && contentLength !== undefined && contentLength !== bodyLength
        ? `Content-Length is ${contentLength}, the body has ${bodyLength} bytes`
        : undefined;
    const detail = status === undefined ? "answered" : `status ${status}`;
    return { ok: true, detail, ...(remark !== undefined && { remark }) };
  }

  #tlsOptions(sni: string | undefined): TlsOptions {
    if (!this.#tls) {
      const { client } = this.#spec;
      this.#tls = client ? { context: clientContext(client) } : {};
    }
    return { ...this.#tls, sni };
  }
}

/** Reads a client's certificate and key. @throws CheckFailure */
function clientContext(client: NonNullable<HttpSpec["client"]>): NonNullable<TlsOptions["context"]> {
  const read = (path: string | undefined): Buffer | undefined =>
    path === undefined ? undefined : readFileSync(path);
  try {
    const ca = read(client.ca);
    const cert = read(client.certificate);
    const key = read(client.key);
    return secureContext({
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(client.password !== undefined && { passphrase: client.password }),
    });
  } catch (error) {
    throw new CheckFailure("local", `client certificate: ${(error as Error).message}`);
  }
}

/**
 * The next request of a chain of redirects. Names in it are not looked up: only addresses, and whatever the server calls itself,
 * which is the server checked.
 * @throws CheckFailure for a place that is none
 */
function follow(stop: Stop, location: string): Stop {
  const scheme = stop.tls ? "https" : "http";
  let url: URL;
  try {
    url = new URL(location, new URL(stop.path, `${scheme}://${stop.host}`));
  } catch {
    throw new CheckFailure("answer", `redirected to ${location}, which is no url`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new CheckFailure("answer", `redirected to ${location}, which is not HTTP`);
  const tls = url.protocol === "https:";
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const address = parseAddress(name);
  const sameHost = url.host === new URL(`${scheme}://${stop.host}`).host && tls === stop.tls;
  const port = url.port === "" ? (tls ? 443 : 80) : Number(url.port);
  const target = sameHost
    ? stop.target
    : { ...stop.target, port, ...(address && { address: name, family: address.family }) };
  const host = url.port === "" ? `${url.hostname}:${port}` : url.host;
  return {
    target,
    tls,
    path: url.pathname + url.search,
    host: sameHost ? stop.host : host,
    sni: address ? undefined : name,
  };
}

/** `200..299, 404`. */
const spellCodes = (codes: UrlSpec["statusCodes"]): string =>
  codes.map(([from, to]) => (from === to ? `${from}` : `${from}..${to}`)).join(", ");
