/**
 * The verifier's log: which of its lines says why a program was refused.
 * @module
 */

/** Lines that follow the reason, or say nothing about it. */
const NOISE =
  /^(processed \d+ insns|verification time|stack depth|-- |Failed log|max_states|insns_since|\d+: R\d+.*=|func#|caller:|callee:|Func#|\s*$)/;
/** The source line that belongs to what follows. */
const SOURCE = /^;\s*(.+)$/;
const INSTRUCTION = /^\d+: \([0-9a-f]{2}\)/;

/** The line that matters, with the source line above it and the instruction it is about; "" for an empty log. */
export function reasonOf(log: string): string {
  const lines = log.split("\n");
  let at = lines.length - 1;
  while (at >= 0 && NOISE.test(lines[at]!)) at--;
  if (at < 0) return "";
  const reason = lines[at]!.trim();
  let source = "";
  let instruction = "";
  for (let i = at - 1; i >= 0 && !source; i--) {
    const line = lines[i]!;
    if (!instruction && INSTRUCTION.test(line)) instruction = line.replace(/\s*;\s*R\d+.*$/, "").trim();
    source = SOURCE.exec(line)?.[1]?.trim() ?? "";
  }
  const where = [source && `at "${source}"`, instruction && `(${instruction})`].filter(Boolean).join(" ");
  return where ? `${reason}, ${where}` : reason;
}
