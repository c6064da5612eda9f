/**
 * Loaded BPF programs: what they are, and runs of them on packets given by hand.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { lastErrno, SysError } from "../libc.ts";
import { Attr, CMD, memory } from "./call.ts";
import { text } from "./map.ts";

/** What the kernel says about a program. */
export interface ProgramInfo {
  /** `enum bpf_prog_type`. */
  readonly type: number;
  readonly id: number;
  /** Hash over the instructions, hexadecimal. */
  readonly tag: string;
  readonly name: string;
}

/** @throws SysError */
export function programInfo(fd: number): ProgramInfo {
  const info = memory(128);
  new Attr(16).u32(0, fd).u32(4, info.length).u64(8, info).do(CMD.OBJ_GET_INFO_BY_FD, "OBJ_GET_INFO_BY_FD");
  const v = new DataView(info.buffer);
  return {
    type: v.getUint32(0, LITTLE_ENDIAN),
    id: v.getUint32(4, LITTLE_ENDIAN),
    tag: Buffer.from(info.subarray(8, 16)).toString("hex"),
    name: text(info, 64, 16),
  };
}

/** What a packet of a run comes with. TC programs see all of it, XDP programs nothing of it. */
export interface PacketContext {
  readonly mark?: number;
  /** Index of the interface on which it arrived; it must exist in this namespace. */
  readonly ifindex?: number;
  /** Bytes of payload a segment, for packets that stand for several. */
  readonly gsoSize?: number;
}

/** Offsets in `struct __sk_buff`. */
const SKB = { mark: 8, ingressIfindex: 36, ifindex: 40, gsoSize: 176, length: 192 } as const;
/** Longest packet, bytes. */
const LONGEST = 65536;
/** Where attributes of a run lie. */
const AT = { retval: 4, sizeIn: 8, sizeOut: 12, dataIn: 16, dataOut: 24, repeat: 32, duration: 36 } as const;
const CTX = { sizeIn: 40, sizeOut: 44, in: 48, out: 56 } as const;

/** Runs one program on packets. Its memory is used again by every run. */
export class TestRun {
  /** The packet to run on; write it here. */
  readonly input = memory(LONGEST);
  /** The packet as the program left it. */
  readonly output = memory(LONGEST + 4096);
  /** Bytes of {@link output}. */
  outputLength = 0;
  /** Mark of the packet as the program left it (TC). */
  outputMark = 0;
  readonly #context = memory(SKB.length);
  readonly #contextOut = memory(SKB.length);
  readonly #view = new DataView(this.#context.buffer);
  readonly #viewOut = new DataView(this.#contextOut.buffer);
  readonly #attr: Attr;
  readonly #withContext: boolean;

  /** @param kind XDP programs have no context that could be given */
  constructor(programFd: number, kind: "tc" | "xdp" = "tc") {
    this.#withContext = kind === "tc";
    this.#attr = new Attr(80).u32(0, programFd).u64(AT.dataIn, this.input).u64(AT.dataOut, this.output);
    if (this.#withContext) this.#attr.u64(CTX.in, this.#context).u64(CTX.out, this.#contextOut);
  }

  /**
   * Runs on the first `length` bytes of {@link input}, an Ethernet frame of at least 14 bytes.
   * @returns what the program returned, signed: TC_ACT_*, XDP_*
   * @throws SysError
   */
  run(length: number, context: PacketContext = {}, repeat = 1): number {
    const a = this.#attr;
    a.u32(AT.sizeIn, length).u32(AT.sizeOut, this.output.length).u32(AT.repeat, repeat);
    if (this.#withContext) {
      const v = this.#view;
      v.setUint32(SKB.mark, context.mark ?? 0, LITTLE_ENDIAN);
      v.setUint32(SKB.ifindex, context.ifindex ?? 0, LITTLE_ENDIAN);
      v.setUint32(SKB.ingressIfindex, context.ifindex ?? 0, LITTLE_ENDIAN);
      v.setUint32(SKB.gsoSize, context.gsoSize ?? 0, LITTLE_ENDIAN);
      a.u32(CTX.sizeIn, SKB.length).u32(CTX.sizeOut, SKB.length);
    }
    if (a.try(CMD.PROG_TEST_RUN) < 0) throw new SysError("bpf PROG_TEST_RUN", lastErrno());
    this.outputLength = a.getU32(AT.sizeOut);
    if (this.#withContext) this.outputMark = this.#viewOut.getUint32(SKB.mark, LITTLE_ENDIAN);
    return a.getU32(AT.retval) | 0;
  }

  /** Nanoseconds of one pass in the last run, on average. */
  get duration(): number {
    return this.#attr.getU32(AT.duration);
  }
}

/** Runs a program once on an empty frame, for programs that are called for what they do. @returns what it returned */
export function call(programFd: number): number {
  const frame = memory(64);
  const attr = new Attr(80).u32(0, programFd).u32(AT.sizeIn, 64).u64(AT.dataIn, frame).u32(AT.repeat, 1);
  attr.do(CMD.PROG_TEST_RUN, "PROG_TEST_RUN");
  void frame.length; // had to live until here
  return attr.getU32(AT.retval) | 0;
}
