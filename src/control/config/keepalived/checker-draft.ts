/**
 * A checker while it is read: what its block says, before anything is inherited.
 * @module
 */
import type { UrlSpec } from "../../checks/check.ts";
import type { Word } from "./text.ts";
import type { Address } from "./values.ts";

/** Timing that virtual servers, real servers and checkers may all set; times in ms. */
export interface TimingDraft {
  delayLoopMs?: number;
  retry?: number;
  delayBeforeRetryMs?: number;
  warmupMs?: number;
  connectTimeoutMs?: number;
  alpha?: boolean;
}

/** Where a check goes, as far as it is written. */
export interface EndpointDraft {
  connectIp?: Address;
  connectPort?: number;
  bindTo?: Address;
  bindWord?: Word;
  bindPort?: number;
  bindIf?: string;
  fwmark?: number;
  connectTimeoutMs?: number;
}

/** A url while it is read. */
export interface UrlDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  path?: string;
  readonly statusCodes: [number, number][];
  digest?: string;
  virtualhost?: string;
  regex?: { readonly word: Word; readonly text: string };
  negated?: boolean;
  readonly regexOptions: Set<string>;
  minOffset?: number;
  maxOffset?: number;
}

/** A checker while it is read. */
export interface CheckerDraft extends TimingDraft, EndpointDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  logAllFailures?: boolean;
  // HTTP_GET, SSL_GET
  readonly urls: UrlSpec[];
  virtualhost?: string;
  httpVersion?: "1.0" | "1.0C" | "1.1";
  fastRecovery?: boolean;
  enableSni?: boolean;
  sniName?: string;
  // SMTP_CHECK
  helo?: string;
  readonly hosts: EndpointDraft[];
  // DNS_CHECK
  dnsType?: string;
  dnsName?: string;
  // MISC_CHECK
  command?: string[];
  miscTimeoutS?: number;
  dynamic?: boolean;
  user?: string;
  group?: string;
  // UDP_CHECK
  payload?: string;
  requireReply?: boolean;
  reply?: string;
  minReply?: number;
  maxReply?: number;
  // BFD_CHECK
  bfd?: Word;
  // FILE_CHECK
  trackFile?: Word;
  weight?: number;
  reverse?: boolean;
}

/** An empty checker. */
export const checkerDraft = (word: Word, close?: Word): CheckerDraft => ({
  word,
  close,
  urls: [],
  hosts: [],
});
