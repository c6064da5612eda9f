/**
 * A link that ends with its network namespace: pinned, it tells later whether the namespace is still there, which nothing else does
 * for who is in another one.
 *
 * It holds a program of two instructions where sockets are looked up (sk_lookup, Linux 5.9), which changes nothing: it runs when no
 * connected socket takes a packet. Links there are many in a namespace, other programs of that kind are not disturbed.
 * @module
 */
import { close } from "../libc.ts";
import { openNetns } from "../netns.ts";
import { Attr, CMD, copyOf, cString } from "./call.ts";

const PROG_TYPE_SK_LOOKUP = 30;
const ATTACH_SK_LOOKUP = 36;
/** r0 = SK_PASS; exit (`struct bpf_insn`). */
const PASS = copyOf(new Uint8Array([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]));
const LICENSE = cString("GPL");
const INSTRUCTION_LEN = 8;

/**
 * Attaches one to the namespace of this thread.
 * @returns its descriptor; `linkInfo().ifindex`, here the namespace's inode, is 0 when the namespace is gone
 * @throws SysError
 */
export function attachWitness(): number {
  const program = new Attr(72)
    .u32(0, PROG_TYPE_SK_LOOKUP)
    .u32(4, PASS.length / INSTRUCTION_LEN)
    .u64(8, PASS)
    .u64(16, LICENSE)
    .u32(68, ATTACH_SK_LOOKUP)
    .do(CMD.PROG_LOAD, "PROG_LOAD", "load the program that tells that a namespace is there");
  const netns = openNetns();
  try {
    return new Attr(32)
      .u32(0, program)
      .u32(4, netns)
      .u32(8, ATTACH_SK_LOOKUP)
      .do(CMD.LINK_CREATE, "LINK_CREATE", "attach to the network namespace");
  } finally {
    close(netns);
    close(program);
  }
}
