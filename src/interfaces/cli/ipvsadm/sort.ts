/**
 * The order of listings.
 *
 * compat: ipvsadm 1.31 compares marks and addresses by their signed 32-bit difference, so values more than 2^31 apart come the
 * wrong way round, and three of them may be in no order at all. What then comes out depends on the algorithm: glibc's merge sort.
 * @module
 */
import type { DestinationStatus } from "../../../core/destination.ts";
import { PROTOCOL_NUMBER, type ServiceStatus } from "../../../core/service.ts";
import { toWords } from "../../../wire/address.ts";

/** Negative, 0 or positive. */
type Compare<T> = (a: T, b: T) => number;

/** Stable top-down merge sort as glibc 2.36 has it: the left part is n/2 rounded down, equal elements are taken from it. */
export function mergeSort<T>(list: readonly T[], compare: Compare<T>): T[] {
  if (list.length < 2) return [...list];
  const half = list.length >> 1;
  const left = mergeSort(list.slice(0, half), compare);
  const right = mergeSort(list.slice(half), compare);
  const merged: T[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    merged.push(compare(left[l], right[r]) <= 0 ? left[l++] : right[r++]);
  }
  while (l < left.length) merged.push(left[l++]);
  while (r < right.length) merged.push(right[r++]);
  return merged;
}

/** Signed 32-bit difference of two 32-bit values. */
export const wrapped = (a: number, b: number): number => (a - b) | 0;

function compareWords(a: Int32Array, b: Int32Array, words: number): number {
  for (let i = 0; i < words; i++) {
    const difference = wrapped(a[i], b[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** By mark, family, protocol, address, port. */
export function sortServices(services: readonly ServiceStatus[]): ServiceStatus[] {
  const keyed = services.map((status) => {
    const { id } = status.spec;
    return id.kind === "fwmark"
      ? { status, mark: id.fwmark, family: id.family, protocol: 0, words: new Int32Array(4), port: 0 }
      : {
          status,
          mark: 0,
          family: id.family,
          protocol: PROTOCOL_NUMBER[id.protocol],
          words: toWords(id.address),
          port: id.port,
        };
  });
  return mergeSort(
    keyed,
    (a, b) =>
      wrapped(a.mark, b.mark) ||
      a.family - b.family ||
      a.protocol - b.protocol ||
      compareWords(a.words, b.words, a.family === 6 ? 4 : 1) ||
      a.port - b.port,
  ).map((k) => k.status);
}

/** By address and port; of a pair of two families the first one's decides how many words count. */
export function sortDestinations(destinations: readonly DestinationStatus[]): DestinationStatus[] {
  const keyed = destinations.map((status) => ({ status, words: toWords(status.spec.address) }));
  return mergeSort(
    keyed,
    (a, b) =>
      compareWords(a.words, b.words, a.status.spec.family === 6 ? 4 : 1) ||
      a.status.spec.port - b.status.spec.port,
  ).map((k) => k.status);
}
