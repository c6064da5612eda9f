/**
 * ELF object files (System V ABI, `include/uapi/linux/elf.h`), 64-bit little-endian: their sections by name.
 * @module
 */

const AT = {
  magic: 0,
  class: 4,
  data: 5,
  sections: 40,
  sectionSize: 58,
  sectionCount: 60,
  names: 62,
} as const;
const SECTION = { name: 0, offset: 24, size: 32 } as const;
const MAGIC = 0x7f454c46;

/** The bytes of a section; undefined when the file has none of that name, or is no such file. */
export function section(file: Uint8Array, name: string): Uint8Array | undefined {
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || v.getUint32(AT.magic) !== MAGIC || file[AT.class] !== 2 || file[AT.data] !== 1)
    return undefined;
  const table = Number(v.getBigUint64(AT.sections, true));
  const size = v.getUint16(AT.sectionSize, true);
  const count = v.getUint16(AT.sectionCount, true);
  if (table + size * count > file.length) return undefined;
  const body = (index: number): Uint8Array => {
    const at = table + index * size;
    const offset = Number(v.getBigUint64(at + SECTION.offset, true));
    return file.subarray(offset, offset + Number(v.getBigUint64(at + SECTION.size, true)));
  };
  const names = body(v.getUint16(AT.names, true));
  for (let i = 0; i < count; i++) {
    const start = v.getUint32(table + i * size + SECTION.name, true);
    const text = new TextDecoder().decode(names.subarray(start, names.indexOf(0, start)));
    if (text === name) return body(i);
  }
  return undefined;
}
