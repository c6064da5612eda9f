/**
 * The type information that the kernel keeps with loaded maps.
 * @module
 */
import { close } from "../libc.ts";
import { Attr, CMD, memory } from "./call.ts";

/** Offset of `btf_id` in `struct bpf_map_info`. */
const MAP_BTF_ID = 64;
const MAP_INFO_LENGTH = 104;
/** `struct bpf_btf_info`: pointer, size, id ... */
const BTF_INFO_LENGTH = 32;

/** The BTF that a map was made with; undefined when it has none. @throws SysError */
export function btfOfMap(mapFd: number): Uint8Array | undefined {
  const id = info(mapFd, new Attr(MAP_INFO_LENGTH)).getU32(MAP_BTF_ID);
  if (id === 0) return undefined;
  const fd = new Attr(12).u32(0, id).do(CMD.BTF_GET_FD_BY_ID, "BTF_GET_FD_BY_ID");
  try {
    const size = info(fd, new Attr(BTF_INFO_LENGTH)).getU32(8);
    const btf = memory(size);
    info(fd, new Attr(BTF_INFO_LENGTH).u64(0, btf).u32(8, size));
    return btf;
  } finally {
    close(fd);
  }
}

function info(fd: number, into: Attr): Attr {
  const { bytes } = into;
  new Attr(16).u32(0, fd).u32(4, bytes.length).u64(8, bytes).do(CMD.OBJ_GET_INFO_BY_FD, "OBJ_GET_INFO_BY_FD");
  return into;
}
