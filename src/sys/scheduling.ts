/**
 * Real-time scheduling of the calling thread, which for node is the one of the event loop.
 * @module
 */
import { LITTLE_ENDIAN } from "../wire/netlink.ts";
import { lastErrno, raw, SysError } from "./libc.ts";

const SCHED_RR = 2;
/** Children are ordinary processes again. */
const SCHED_RESET_ON_FORK = 0x40000000;

/** Moves this thread to SCHED_RR with a priority of 1..99: it runs before every ordinary process. @throws SysError */
export function becomeRealtime(priority: number): void {
  const parameters = new Uint8Array(new ArrayBuffer(4)); // struct sched_param
  new DataView(parameters.buffer).setInt32(0, priority, LITTLE_ENDIAN);
  if (raw.sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, parameters) < 0)
    throw new SysError("sched_setscheduler", lastErrno(), `real-time priority ${priority}`);
}
