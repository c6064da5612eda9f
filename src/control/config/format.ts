/**
 * The form of configuration files: what `lvsd fmt` and `lvsd check --fix` write.
 * @module
 */
import { applyEdits, type Edit } from "./fixes.ts";
import { formatKeepalived } from "./keepalived/fmt.ts";
import { languageOf } from "./read.ts";

/**
 * A configuration in its one form.
 * @throws Error for ldirectord.cf, whose blanks mean something and whose lines are one form already
 */
export function formatConfig(path: string, text: string): string {
  if (languageOf(path, text) === "keepalived") return formatKeepalived(text);
  throw new Error(
    `${path}: only keepalived.conf is formatted; an ldirectord.cf has one statement a line already`,
  );
}

/** A keepalived.conf with its corrections, in its one form. */
export function fixConfig(path: string, text: string, edits: readonly Edit[]): string {
  return formatConfig(
    path,
    applyEdits(
      text,
      edits.filter(({ file }) => file === path),
    ),
  );
}
