/**
 * How the bytes that the FTP helper put into a stream are kept: one word of a connection (bpf/sequence.h), from low to high 8 bits of the
 * last change, 24 bits of all of them, both signed, 32 bits of the sequence number behind which the last one counts.
 * @module
 */
import type { SequenceRecord } from "../../../core/connections.ts";

/** What the word says; undefined when nothing was changed. */
export function readShift(word: bigint): SequenceRecord | undefined {
  const low = Number(BigInt.asIntN(32, word));
  if (low === 0) return undefined;
  const delta = low >> 8;
  return { initial: Number(word >> 32n), delta, previousDelta: delta - ((low << 24) >> 24) };
}

/**
 * The word's halves. A last change that does not fit into it is left out: it only matters for what is sent again of before.
 * @returns undefined for shifts that do not fit
 */
export function packShift(of: Omit<SequenceRecord, "initial">): number | undefined {
  const delta = of.delta | 0;
  if ((delta << 8) >> 8 !== delta) return undefined;
  const change = (delta - of.previousDelta) | 0;
  return ((delta << 8) | ((change << 24) >> 24 === change ? change & 0xff : 0)) >>> 0;
}
