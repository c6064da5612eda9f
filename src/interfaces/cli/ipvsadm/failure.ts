/**
 * A command line that failed: the terse line every script knows, the exit status, and what `explain.ts` makes a helpful second
 * line of.
 * @module
 */
import type { Command, CommandName } from "./command.ts";

/** Why a word is no address. */
export type AddressFault =
  | "empty"
  | "no-port-number"
  | "bracket-without-port"
  | "bracket-not-closed"
  | "zone"
  | "ipv6-text"
  | "ipv4-range"
  | "unknown-host"
  | "empty-port"
  | "port-range"
  | "unknown-port-name"
  | "port-name-before-service";

/** What exactly was wrong. */
export type Reason =
  | { readonly kind: "option"; readonly problem: "unknown" | "missing" | "unwanted"; readonly word: string }
  | { readonly kind: "no-command"; readonly word: string | undefined }
  | { readonly kind: "no-restore-inside" }
  | { readonly kind: "second-command"; readonly word: string; readonly first: CommandName }
  | {
      readonly kind: "number";
      readonly option: string;
      readonly word: string;
      readonly low: number;
      readonly high: number;
    }
  | { readonly kind: "address"; readonly option: string; readonly word: string; readonly fault: AddressFault }
  | {
      readonly kind: "choice";
      readonly option: string;
      readonly word: string;
      readonly choices: readonly string[];
    }
  | { readonly kind: "mask"; readonly word: string; readonly family: 4 | 6 }
  | { readonly kind: "multicast"; readonly word: string; readonly family: 4 | 6 }
  | { readonly kind: "flag"; readonly word: string; readonly scheduler: string }
  | { readonly kind: "twice"; readonly name: string }
  | { readonly kind: "ipv6-too-early" }
  | { readonly kind: "set-words"; readonly count: number }
  | { readonly kind: "leftover"; readonly word: string }
  | { readonly kind: "needed" | "illegal"; readonly name: string; readonly command: string }
  | { readonly kind: "conflict"; readonly name: string; readonly other: string }
  | { readonly kind: "zero-port"; readonly address: string }
  | { readonly kind: "one-packet" }
  | { readonly kind: "mixed-family" }
  | { readonly kind: "tunnel-option" }
  | { readonly kind: "local-family"; readonly word: string }
  | { readonly kind: "refused"; readonly command: Command; readonly code: string; readonly detail: string };

/** A failed command line. */
export class Failure extends Error {
  override readonly name = "Failure";
  /** Exit status of the command. */
  readonly status: number;
  /** Ends a run of `-R` at once; otherwise the next line is read. */
  readonly stops: boolean;
  readonly reason: Reason | undefined;

  constructor(message: string, status: number, stops: boolean, reason?: Reason) {
    super(message);
    this.status = status;
    this.stops = stops;
    this.reason = reason;
  }
}

/** A usage error: exit status 2. */
export const usage = (message: string, reason?: Reason): Failure => new Failure(message, 2, true, reason);
