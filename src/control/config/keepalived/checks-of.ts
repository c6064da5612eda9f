/**
 * From a checker as written to the check that runs: inheritance from real and virtual server, and each kind's defaults.
 * @module
 */
import type { CheckSpec, CheckTarget } from "../../checks/check.ts";
import type { CheckEntry } from "../../wanted.ts";
import type { CheckerDraft, EndpointDraft, TimingDraft } from "./checker-draft.ts";
import type { Reader } from "./reader.ts";
import type { RealServerDraft } from "./server-draft.ts";
import { placeOf } from "./text.ts";

/** keepalived's delay_loop, ms. */
const DELAY_LOOP_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5000;
/** Name that SMTP_CHECK gives itself. */
const SMTP_HELO = "smtpchecker.keepalived.org";

/** A track_file as far as FILE_CHECK needs it. */
export interface TrackFileFacts {
  readonly path: string;
  readonly weight: number;
  readonly reverse: boolean;
}

/** What checks take from the rest of the file. */
export interface CheckSurroundings {
  readonly trackFiles: ReadonlyMap<string, TrackFileFacts>;
  readonly bfdNames: ReadonlySet<string>;
  /** The SSL block. */
  readonly client?: { ca?: string; certificate?: string; key?: string; password?: string };
  readonly logAllFailures: boolean;
}

/** What a real server's checks inherit, the nearest first. */
export interface Inherited {
  readonly timing: readonly TimingDraft[];
  readonly virtualhost: string | undefined;
}

/** The first value that is set. */
function pick<K extends keyof TimingDraft>(
  field: K,
  from: readonly TimingDraft[],
): TimingDraft[K] | undefined {
  return from.find((each) => each[field] !== undefined)?.[field];
}

function targetOf(at: EndpointDraft, server: RealServerDraft, reader: Reader): CheckTarget {
  const to = at.connectIp ?? server.address;
  const usable = at.bindTo?.family === to.family;
  if (at.bindTo && at.bindWord && !usable) {
    reader.error(
      "family-mismatch",
      at.bindWord,
      `bindto is IPv${at.bindTo.family}, the server IPv${to.family}; it is left out`,
      {
        own: "bindto address %s does not match address family of connect_ip - skipping",
      },
    );
  }
  return {
    family: to.family,
    address: to.address,
    port: at.connectPort ?? server.port,
    ...(at.bindTo && usable ? { bindAddress: at.bindTo.address } : {}),
    ...(at.bindPort === undefined ? {} : { bindPort: at.bindPort }),
    ...(at.bindIf === undefined ? {} : { bindInterface: at.bindIf }),
    ...(at.fwmark === undefined || at.fwmark === 0 ? {} : { fwmark: at.fwmark }),
  };
}

/** Retries and delay before them (ms; undefined: delay_loop), by kind. */
const DEFAULTS: Readonly<Record<string, readonly [number, number | undefined]>> = {
  HTTP_GET: [1, 3000],
  SSL_GET: [1, 3000],
  DNS_CHECK: [3, undefined],
  MISC_CHECK: [0, 1000],
};

/** Whether a name fits into a question (RFC 1035 §2.3.4). */
const isDomainName = (name: string): boolean =>
  name === "." ||
  (Buffer.byteLength(name) <= 254 &&
    name
      .replace(/\.$/, "")
      .split(".")
      .every((label) => label !== "" && Buffer.byteLength(label) <= 63));

type Kind<K extends CheckSpec["kind"]> = Extract<CheckSpec, { kind: K }>;

function httpOf(
  draft: CheckerDraft,
  inherited: Inherited,
  around: CheckSurroundings,
  reader: Reader,
): Omit<Kind<"http">, "target" | "timeoutMs"> {
  const host = draft.virtualhost ?? inherited.virtualhost;
  const tls = draft.word.text === "SSL_GET";
  if (!tls && (draft.enableSni || draft.sniName !== undefined)) {
    reader.warn("no-effect", draft.word, "SNI has no effect without TLS", { remedy: "use SSL_GET" });
  }
  const named = tls && draft.sniName === undefined && draft.enableSni;
  return {
    kind: "http",
    tls,
    version: draft.httpVersion ?? "1.0",
    method: "GET",
    urls: draft.urls.map((url) => {
      const name = url.virtualhost ?? host;
      if (name === undefined) return url;
      return { ...url, virtualhost: name, ...(named ? { sni: name.replace(/:\d+$/, "") } : {}) };
    }),
    redirects: 0,
    ...(tls && draft.sniName !== undefined ? { sni: draft.sniName } : {}),
    ...(draft.fastRecovery ? { fastRecovery: true } : {}),
    ...(tls && around.client ? { client: around.client } : {}),
  };
}

/** The question of a checker, without target and time limit; undefined, with a message, when something is missing. */
function questionOf(
  draft: CheckerDraft,
  inherited: Inherited,
  around: CheckSurroundings,
  server: string,
  reader: Reader,
):
  | (CheckSpec extends infer S ? (S extends CheckSpec ? Omit<S, "target" | "timeoutMs"> : never) : never)
  | undefined {
  const incomplete = (message: string, remedy: string, own: string) => {
    reader.error("incomplete-checker", draft.word, message, {
      remedy,
      ...(own === "" ? {} : { own }),
      ownAt: draft.close,
    });
    return undefined;
  };
  switch (draft.word.text) {
    case "TCP_CHECK":
      return { kind: "tcp" };
    case "HTTP_GET":
    case "SSL_GET":
      if (draft.urls.length > 0) return httpOf(draft, inherited, around, reader);
      return incomplete(
        `this ${draft.word.text} has no url; it is left out`,
        "add url { path / }",
        "HTTP/SSL_GET checker has no urls specified - ignoring",
      );
    case "SMTP_CHECK":
      return { kind: "smtp", helo: draft.helo ?? SMTP_HELO };
    case "DNS_CHECK":
      if (!isDomainName(draft.dnsName ?? ".")) {
        return incomplete(
          `"${draft.dnsName}" is no name that can be asked for; this DNS_CHECK is left out`,
          "labels have 1 to 63 characters, a whole name 253",
          "",
        );
      }
      return { kind: "dns", name: draft.dnsName ?? ".", type: draft.dnsType ?? "SOA", transport: "udp" };
    case "UDP_CHECK": {
      const minBytes = draft.minReply ?? 0;
      const maxBytes = draft.maxReply ?? 255;
      if (minBytes > maxBytes) {
        reader.error(
          "bad-range",
          draft.word,
          `min_reply_length ${minBytes} is more than max_reply_length ${maxBytes}`,
          {
            own: `UDP_CHECK min_reply length ${minBytes} > max_reply_length ${maxBytes} - will always fail`,
            ownAt: draft.close,
          },
        );
      }
      if (!draft.requireReply && (draft.minReply !== undefined || draft.maxReply !== undefined)) {
        reader.warn("no-effect", draft.word, "lengths of a reply have no effect without require_reply", {
          remedy: "add a line: require_reply",
        });
      }
      return {
        kind: "udp",
        ...(draft.payload === undefined ? {} : { payload: draft.payload }),
        ...(draft.requireReply
          ? {
              requireReply: {
                minBytes,
                maxBytes,
                ...(draft.reply === undefined ? {} : { bytes: draft.reply }),
              },
            }
          : {}),
      };
    }
    case "PING_CHECK":
      return { kind: "ping" };
    case "MISC_CHECK":
      if (!draft.command?.[0]) {
        return incomplete(
          "this MISC_CHECK has no misc_path; it is left out",
          'add misc_path "/path/to/program argument"',
          "No script path has been specified for MISC_CHECKER - skipping",
        );
      }
      return {
        kind: "misc",
        command: draft.command,
        dynamic: draft.dynamic ?? false,
        ...(draft.user === undefined ? {} : { user: draft.user }),
        ...(draft.group === undefined ? {} : { group: draft.group }),
      };
    case "FILE_CHECK": {
      const facts = draft.trackFile && around.trackFiles.get(draft.trackFile.text);
      if (draft.trackFile && !facts) {
        reader.error(
          "undefined-reference",
          draft.trackFile,
          `there is no track_file ${draft.trackFile.text}`,
          {
            remedy: `define it at the top level: track_file ${draft.trackFile.text} { file PATH }`,
            own: "track_file %s not found",
          },
        );
      }
      if (!facts) {
        return incomplete(
          "this FILE_CHECK has no file; it is left out",
          "add track_file NAME",
          "FILE_CHECK has no track_file specified - ignoring",
        );
      }
      return {
        kind: "file",
        path: facts.path,
        weight: draft.weight ?? facts.weight,
        reverse: draft.weight === undefined ? facts.reverse : (draft.reverse ?? false),
      };
    }
    default:
      if (draft.bfd !== undefined && !around.bfdNames.has(draft.bfd.text)) {
        reader.say("undefined-reference", `(${server}) BFD_CHECK - BFD ${draft.bfd.text} not configured`, {
          from: draft.bfd.from,
        });
      }
      reader.warn(
        "no-effect",
        draft.word,
        `${draft.word.text} has no effect: there are no BFD sessions here`,
        {
          remedy: "use another checker; without one the server counts as up",
        },
      );
      return undefined;
  }
}

/** Wait between checks of a server that is down; undefined where keepalived has rounds of retries instead. */
function downDelay(
  kind: CheckSpec["kind"],
  loopMs: number,
  retry: number,
  beforeMs: number,
): number | undefined {
  if (kind === "http") return Math.max(beforeMs, loopMs);
  if ((kind === "tcp" || kind === "smtp") && retry > 1) return undefined;
  return loopMs;
}

/** The checks that one checker block makes: one, or one a `host` of SMTP_CHECK; none when it is incomplete. */
export function checksOf(
  draft: CheckerDraft,
  server: RealServerDraft,
  inherited: Inherited,
  around: CheckSurroundings,
  reader: Reader,
): CheckEntry[] {
  const question = questionOf(
    draft,
    inherited,
    around,
    `[${server.address.address}]:none:${server.port}`,
    reader,
  );
  if (question === undefined) return [];
  const levels = [draft, ...inherited.timing];
  const delayLoopMs = pick("delayLoopMs", levels) ?? DELAY_LOOP_MS;
  const [retryDefault, beforeDefault] = Object.hasOwn(DEFAULTS, draft.word.text)
    ? DEFAULTS[draft.word.text]
    : ([1, 1000] as const);
  const retry = pick("retry", levels) ?? retryDefault;
  const delayBeforeRetryMs = pick("delayBeforeRetryMs", levels) ?? beforeDefault ?? delayLoopMs;
  const down = downDelay(question.kind, delayLoopMs, retry, delayBeforeRetryMs);
  const connectMs = pick("connectTimeoutMs", levels) ?? CONNECT_TIMEOUT_MS;
  const timeoutMs =
    question.kind === "misc" ? (draft.miscTimeoutS ? draft.miscTimeoutS * 1000 : delayLoopMs) : connectMs;
  const hosts = draft.hosts.length > 0 ? draft.hosts.map((host) => ({ ...draft, ...host })) : [draft];
  return hosts.map((host) => ({
    spec: {
      ...question,
      target: targetOf(host, server, reader),
      timeoutMs: question.kind === "misc" ? timeoutMs : (host.connectTimeoutMs ?? timeoutMs),
    } as CheckSpec,
    timing: {
      delayLoopMs,
      retry,
      delayBeforeRetryMs,
      warmupMs: pick("warmupMs", levels) ?? delayLoopMs,
      firstFailureCounts: true,
      ...(down === undefined ? {} : { downDelayMs: down }),
      ...((draft.logAllFailures ?? around.logAllFailures) ? { logAllFailures: true } : {}),
    },
    alpha: draft.word.text === "FILE_CHECK" ? false : (pick("alpha", levels) ?? false),
    at: placeOf(draft.word),
  }));
}
