/**
 * What the protocols of dialogue checks have in common.
 * @module
 */
import type { Attempt, Outcome } from "./attempt.ts";
import type { CheckSpec } from "./check.ts";
import type { Pattern } from "./pattern.ts";

export type DialogueSpec = CheckSpec & { readonly kind: "dialogue" };

/** One protocol: what is said, and what is expected. Throws CheckFailure when the server does not play along. */
export type Protocol = (run: Attempt, spec: DialogueSpec, pattern: Pattern | undefined) => Promise<Outcome>;

/** Part of a server's line for a verdict. */
export const quote = (line: string): string => `"${line.slice(0, 80)}"`;

/** The request as configured: ldirectord has put a slash in front of it that was not meant. */
export const requestOf = (spec: { readonly request: string }): string => spec.request.replace(/^\//, "");

/** Text that ends no command early. */
export const oneLine = (text: string): string => text.replace(/[\r\n\0]/g, "");
