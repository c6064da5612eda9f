/**
 * Structs that BPF programs and this program read in the same memory: fields in order, offsets by C's rules. Every struct must be
 * free of implicit padding, so that both compilers agree and maps never hold bytes that nobody wrote.
 * @module
 */

/** Bytes by field type. `be16` and `be32` are in network order; `address` is 16 bytes, IPv4 in the first four, the rest 0. */
const SIZE = {
  u8: 1,
  u16: 2,
  be16: 2,
  u32: 4,
  s32: 4,
  be32: 4,
  u64: 8,
  mac: 6,
  address: 16,
  timer: 16,
} as const;

/** A field's type, or an array of it. */
export type FieldType = keyof typeof SIZE;
/** A field: type, or type and number of elements, and what it means. */
export type Field = readonly [type: FieldType | readonly [FieldType, number], meaning: string];

/** A struct with its offsets. */
export interface Struct<F extends Record<string, Field> = Record<string, Field>> {
  /** As in C, behind `struct `. */
  readonly name: string;
  readonly meaning: string;
  /** Bytes. */
  readonly size: number;
  /** Offset of each field, bytes. */
  readonly at: { readonly [K in keyof F]: number };
  readonly fields: F;
}

const elementOf = (field: Field): FieldType => (typeof field[0] === "string" ? field[0] : field[0][0]);
const countOf = (field: Field): number => (typeof field[0] === "string" ? 1 : field[0][1]);
const alignment = (type: FieldType): number =>
  type === "address" ? 4 : type === "mac" ? 1 : type === "timer" ? 8 : SIZE[type];

/** Bytes of a field. */
export const sizeOf = ({ fields }: Struct, name: string): number =>
  SIZE[elementOf(fields[name]!)] * countOf(fields[name]!);

/** Lays a struct out. @throws Error when a compiler would pad it */
export function struct<const F extends Record<string, Field>>(
  name: string,
  meaning: string,
  fields: F,
): Struct<F> {
  const at: Record<string, number> = {};
  let size = 0;
  let widest = 1;
  for (const [key, field] of Object.entries(fields)) {
    const type = elementOf(field);
    const align = alignment(type);
    if (size % align !== 0) throw new Error(`struct ${name}: ${key} at ${size} is not aligned to ${align}`);
    at[key] = size;
    size += SIZE[type] * countOf(field);
    widest = Math.max(widest, align);
  }
  if (size % widest !== 0) throw new Error(`struct ${name}: ${size} bytes, expects a multiple of ${widest}`);
  return { name, meaning, size, at: at as { [K in keyof F]: number }, fields };
}

const C_TYPE: Record<FieldType, string> = {
  u8: "__u8",
  u16: "__u16",
  be16: "__be16",
  u32: "__u32",
  s32: "__s32",
  be32: "__be32",
  u64: "__u64",
  mac: "__u8",
  address: "__be32",
  timer: "struct bpf_timer",
};

/** The struct as C, with assertions that the compiler sees the same offsets. */
export function structToC(s: Struct): string {
  const lines = Object.entries(s.fields).map(([name, field]) => {
    const type = elementOf(field);
    const inner = type === "address" ? 4 : type === "mac" ? 6 : 0;
    const dimensions = (countOf(field) > 1 ? `[${countOf(field)}]` : "") + (inner ? `[${inner}]` : "");
    return `\t${C_TYPE[type]} ${name}${dimensions}; /* ${field[1]} */`;
  });
  const asserts = Object.entries(s.at).map(
    ([name, at]) =>
      `_Static_assert(__builtin_offsetof(struct ${s.name}, ${name}) == ${at}, "${s.name}.${name}");`,
  );
  return [
    `/* ${s.meaning} */`,
    `struct ${s.name} {`,
    ...lines,
    "};",
    `_Static_assert(sizeof(struct ${s.name}) == ${s.size}, "${s.name}");`,
    ...asserts,
  ].join("\n");
}
