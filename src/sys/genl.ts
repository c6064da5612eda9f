/**
 * Generic netlink: a family found by its name, its commands asked, refusals with the kernel's own words.
 * @module
 */
import {
  Attributes,
  errorOf,
  LITTLE_ENDIAN,
  type Message,
  NetlinkWriter,
  NLM_F,
  NLMSG,
} from "../wire/netlink.ts";
import { SysError } from "./libc.ts";
import { NETLINK, NetlinkSocket } from "./netlink.ts";
import { setOption } from "./socket.ts";

/** `struct genlmsghdr`: command, version, two reserved bytes. */
const GENL_HEADER_LEN = 4;
/** The controller family, which knows the others (`include/uapi/linux/genetlink.h`). */
const CONTROLLER = { type: 16, version: 1, GETFAMILY: 3, FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
const SOL_NETLINK = 270;
const CAP_ACK = 10;
const EXT_ACK = 11;
const ACK_TLVS = 0x200;
/** Extended answers: the error, the header of the request, then attributes; number 1 is a sentence. */
const ACK_ATTRIBUTES_AT = 4 + 16;
const NLMSGERR_ATTR_MSG = 1;
const ENOENT = 2;
/** More than the kernel ever puts into one part of a dump. */
const RECEIVE_BUFFER = 1 << 17;

/** What the kernel says about a refusal, or "". */
export function refusalText(message: Message): string {
  if (!(message.flags & ACK_TLVS) || message.body.length <= ACK_ATTRIBUTES_AT) return "";
  return new Attributes(message.body, ACK_ATTRIBUTES_AT).string(NLMSGERR_ATTR_MSG) ?? "";
}

/** A socket that speaks to one family, in the network namespace in which it was opened. */
export class GenericNetlink {
  readonly #socket = new NetlinkSocket(NETLINK.GENERIC, RECEIVE_BUFFER);
  readonly #writer = new NetlinkWriter(4096);
  readonly #version: number;
  #family = 0;

  private constructor(version: number) {
    this.#version = version;
    // Kernels without them answer without words.
    setOption(this.#socket.fd, SOL_NETLINK, CAP_ACK, 1);
    setOption(this.#socket.fd, SOL_NETLINK, EXT_ACK, 1);
  }

  /** Opens the family `name`; undefined where the kernel does not have it. @throws SysError */
  static open(name: string, version: number): GenericNetlink | undefined {
    const opened = new GenericNetlink(version);
    try {
      opened.#exchange(
        CONTROLLER.type,
        CONTROLLER.GETFAMILY,
        CONTROLLER.version,
        NLM_F.ACK,
        (w) => w.string(CONTROLLER.FAMILY_NAME, name),
        (a) => {
          opened.#family = a.u16(CONTROLLER.FAMILY_ID) ?? 0;
        },
      );
      if (opened.#family) return opened;
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== ENOENT) {
        opened.close();
        throw error;
      }
    }
    opened.close();
    return undefined;
  }

  /** Asks for something to be done, or for one thing; `onAnswer`'s attributes live until it returns. @throws SysError */
  request(
    command: number,
    write?: (w: NetlinkWriter) => void,
    onAnswer?: (attributes: Attributes) => void,
  ): void {
    this.#exchange(this.#family, command, this.#version, NLM_F.ACK, write, onAnswer);
  }

  /** Asks for all of something; an answer for each, whose attributes live until `onAnswer` returns. @throws SysError */
  dump(
    command: number,
    write: ((w: NetlinkWriter) => void) | undefined,
    onAnswer: (attributes: Attributes) => void,
  ): void {
    this.#exchange(this.#family, command, this.#version, NLM_F.DUMP, write, onAnswer);
  }

  #exchange(
    type: number,
    command: number,
    version: number,
    flags: number,
    write?: (w: NetlinkWriter) => void,
    onAnswer?: (attributes: Attributes) => void,
  ): void {
    const seq = this.#socket.nextSeq();
    const w = this.#writer.reset().begin(type, NLM_F.REQUEST | flags, seq);
    w.raw([command, version, 0, 0]);
    write?.(w);
    this.#socket.send(w.end().bytes);
    for (;;) {
      for (const m of this.#socket.receive(true)) {
        if (m.seq !== seq) continue;
        if (m.type === NLMSG.ERROR) {
          const errno = errorOf(m);
          if (errno) throw new SysError("netlink", errno, refusalText(m));
          return;
        }
        if (m.type === NLMSG.DONE) {
          const errno = doneError(m);
          if (errno) throw new SysError("netlink", errno);
          return;
        }
        onAnswer?.(new Attributes(m.body, GENL_HEADER_LEN));
      }
    }
  }

  close(): void {
    this.#socket.close();
  }
}

/** A dump that broke off says why in its last message; its length is no error. */
function doneError(m: Message): number {
  if (m.body.length < 4) return 0;
  const status = new DataView(m.body.buffer, m.body.byteOffset, 4).getInt32(0, LITTLE_ENDIAN);
  return status < 0 ? -status : 0;
}
