/**
 * Health checks: what is asked of a real server (a spec, plain data), and the answer (a verdict).
 *
 * One file a kind beside this one; `create.ts` makes a checker from a spec. When a check runs and what its verdicts do to a
 * server is decided elsewhere (`../health/`).
 * @module
 */
import type { Family } from "../../core/service.ts";

/** Where a check goes, and from where. */
export interface CheckTarget {
  readonly family: Family;
  /** Address, canonical text. */
  readonly address: string;
  /** 0..65535; kinds without ports ignore it. */
  readonly port: number;
  /** Source address, canonical text. @default chosen by routing */
  readonly bindAddress?: string;
  /** Source port. @default chosen by the kernel */
  readonly bindPort?: number;
  /** Interface (SO_BINDTODEVICE). */
  readonly bindInterface?: string;
  /** Firewall mark of the packets (SO_MARK); 0 or absent for none. */
  readonly fwmark?: number;
}

/** A regular expression as configured, already translated to JavaScript. */
export interface PatternSpec {
  readonly source: string;
  readonly flags: string;
  /** True: a match means failure (keepalived's `regex_no_match`). */
  readonly negated?: boolean;
}

/** One url of an http check. */
export interface UrlSpec {
  /** Path and query, or an absolute url for a proxy. */
  readonly path: string;
  /** Ranges of good status codes, inclusive. Empty with neither digest nor pattern: 200..299. */
  readonly statusCodes: readonly (readonly [number, number])[];
  /** MD5 of the body, 32 lower-case hex digits. */
  readonly digest?: string;
  readonly pattern?: PatternSpec;
  /** Where in the body a match of the pattern may start, in bytes (regex_min_offset, regex_max_offset); a `max` of 0: anywhere. */
  readonly patternOffset?: { readonly min: number; readonly max: number };
  /** Host header. @default `address:port` of the connection */
  readonly virtualhost?: string;
  /** Name for SNI. @default the check's */
  readonly sni?: string;
  /** Tell a Content-Length that is not the length of the body (log only, as keepalived does). */
  readonly reportLength?: boolean;
}

/**
 * What is asked. Every kind has a target (misc and file: the server they speak for) and a time limit for the whole check (ping: for
 * each attempt; http: for each url).
 */
export type CheckSpec = { readonly target: CheckTarget; readonly timeoutMs: number } & (
  | { readonly kind: "tcp" }
  | {
      readonly kind: "http";
      readonly tls: boolean;
      /** Name for SNI; absent: none is sent. */
      readonly sni?: string;
      /** "1.0C" is 1.0 with `Connection: close`. */
      readonly version: "1.0" | "1.0C" | "1.1";
      readonly method: "GET" | "HEAD";
      /** One url a round, in turn; the server is up once every one has passed. */
      readonly urls: readonly UrlSpec[];
      /** No pause between urls while a failed server recovers. */
      readonly fastRecovery?: boolean;
      /** Redirects that are followed; 0 for none (keepalived), 7 for ldirectord. @default 0 */
      readonly redirects?: number;
      /**
       * Digest and pattern see the body without its chunk headers, and the answer ends where its length or last chunk says
       * (ldirectord); else the raw bytes until the server closes (keepalived). @default whether redirects are followed
       */
      readonly decodeBody?: boolean;
      /** Client certificate for https (the SSL block). */
      readonly client?: {
        readonly ca?: string;
        readonly certificate?: string;
        readonly key?: string;
        readonly password?: string;
      };
      readonly userAgent?: string;
    }
  | {
      readonly kind: "smtp";
      readonly helo: string /** EHLO first, HELO when it is refused (ldirectord). */;
      readonly ehlo?: boolean;
    }
  | {
      readonly kind: "dns";
      readonly name: string;
      /** A, AAAA, NS, SOA, MX, TXT, PTR ... as dns-packet names them. */
      readonly type: string;
      readonly transport?: "udp" | "tcp";
      /** Some answer must match (ldirectord); absent: any answer with rcode 0. */
      readonly pattern?: PatternSpec;
    }
  | {
      readonly kind: "udp";
      /** Bytes as hex; absent: random ones. */
      readonly payload?: string;
      readonly requireReply?: {
        readonly minBytes: number;
        readonly maxBytes: number /** Hex. */;
        readonly bytes?: string;
      };
    }
  | {
      readonly kind: "ping";
      readonly attempts?: number /** Bytes after the ICMP header. */;
      readonly size?: number;
    }
  | {
      readonly kind: "misc";
      /** Program and arguments; no shell. */
      readonly command: readonly string[];
      /** Exit status 2..255 sets the weight to status - 2. */
      readonly dynamic: boolean;
      readonly user?: string;
      readonly group?: string;
    }
  | { readonly kind: "file"; readonly path: string; readonly weight: number; readonly reverse: boolean }
  | {
      /** Greeting, login and a question in one of the text protocols, as ldirectord asks. */
      readonly kind: "dialogue";
      readonly protocol: "ftp" | "imap" | "nntp" | "pop" | "simpletcp";
      readonly tls: boolean;
      readonly login: string;
      readonly password: string;
      readonly request: string;
      readonly pattern?: PatternSpec;
    }
  | {
      readonly kind: "ldap";
      readonly tls: boolean;
      readonly login: string;
      readonly password: string;
      readonly base: string;
      readonly pattern?: PatternSpec;
    }
  | { readonly kind: "radius"; readonly login: string; readonly password: string; readonly secret: string }
  | {
      readonly kind: "sql";
      readonly engine: "mysql" | "pgsql" | "oracle";
      readonly login: string;
      readonly password: string;
      readonly database: string;
      readonly query: string;
    }
  | { readonly kind: "sip"; readonly login: string; readonly transport: "udp" | "tcp" }
  | { readonly kind: "always"; readonly up: boolean }
  /** ldirectord's maintenancedir: fails at once, finally, while a file in the folder names the target. */
  | { readonly kind: "maintenance"; readonly folder: string }
  /** ldirectord's checktype N: after a good `full` check, `cheap` ones for `count` rounds. */
  | { readonly kind: "hybrid"; readonly full: CheckSpec; readonly cheap: CheckSpec; readonly count: number }
);

/**
 * Why a check failed, for programs.
 *
 * refused, unreachable, reset, closed, tls: the connection. timeout: no (complete) answer in time. greeting, status, digest, pattern,
 * login, answer: what the server said. program: exit status, or it could not run. local: something on this machine (source address
 * not here, no permission, library missing). aborted: the caller's signal.
 */
export type FailureReason =
  | "refused"
  | "unreachable"
  | "reset"
  | "closed"
  | "tls"
  | "timeout"
  | "greeting"
  | "status"
  | "digest"
  | "pattern"
  | "login"
  | "answer"
  | "program"
  | "local"
  | "aborted";

/** The answer to one check. */
export interface Verdict {
  readonly ok: boolean;
  /** One sentence for people: `connected`, `connection refused`, `status 503, wanted 200..299`. */
  readonly detail: string;
  /** Milliseconds from start to verdict. */
  readonly latencyMs: number;
  /** Present when not ok. */
  readonly reason?: FailureReason;
  /** Something worth a line in the log although it does not count: `Content-Length is 10, the body has 12 bytes`. */
  readonly remark?: string;
  /** Weight the server shall have (misc_dynamic), or the part to add to it (file). */
  readonly weight?: { readonly kind: "absolute" | "add"; readonly value: number };
  /** True: counts at once, whatever number of failures is asked for (maintenance). */
  readonly final?: boolean;
  /** True: more rounds are needed before a recovering server may go up (several urls). */
  readonly partial?: boolean;
}

/** One thing that can be checked again and again. Keeps what must be remembered between checks (the url in turn). */
export interface Checker {
  /** Never rejects for a sick server, only for a bug. Ends soon after `signal` fires. */
  check(signal: AbortSignal): Promise<Verdict>;
  close(): void;
}
