/**
 * Names for BPF objects in a bpffs: an object lives as long as one of its pins does, without any process.
 * @module
 */
import { lastErrno, SysError } from "../libc.ts";
import { Attr, CMD, cString } from "./call.ts";

const ENOENT = 2;

/** Gives the map, program or link a name; an existing name is refused with EEXIST. @throws SysError */
export function pin(fd: number, path: string): void {
  new Attr(12).u64(0, hold(path)).u32(8, fd).do(CMD.OBJ_PIN, "OBJ_PIN", `pin ${path}`);
}

/** A descriptor of what is pinned there; undefined when nothing is. @throws SysError */
export function openPin(path: string): number | undefined {
  const fd = new Attr(16).u64(0, hold(path)).try(CMD.OBJ_GET);
  if (fd >= 0) return fd;
  const errno = lastErrno();
  if (errno === ENOENT) return undefined;
  throw new SysError("bpf OBJ_GET", errno, `open ${path}`);
}

// The kernel reads the name while the call runs; held here so that nothing frees it before.
let held: Uint8Array | undefined;
function hold(path: string): Uint8Array {
  held = cString(path);
  return held;
}
