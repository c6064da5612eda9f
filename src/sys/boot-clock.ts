/**
 * Time since the machine was started, time asleep included (CLOCK_BOOTTIME), so that a suspend shows as a gap. Node's own clocks stand
 * still meanwhile, or jump when somebody sets the date.
 * @module
 */
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { check, raw } from "./libc.ts";

const CLOCK_BOOTTIME = 7;

const time = new Uint8Array(new ArrayBuffer(16)); // struct timespec
const view = new DataView(time.buffer);

/** Milliseconds, with fractions. */
export function bootTimeMs(): number {
  check("clock_gettime", raw.clock_gettime(CLOCK_BOOTTIME, time));
  return Number(view.getBigInt64(0, LITTLE_ENDIAN)) * 1000 + Number(view.getBigInt64(8, LITTLE_ENDIAN)) / 1e6;
}
