import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { libbpfMissing } from "../../sys/bpf/libbpf.ts";
import { MAP_TYPE } from "../../sys/bpf/map.ts";
import { declarations } from "../../sys/bpf/object.ts";
import { structs } from "../../wire/btf.ts";
import { section } from "../../wire/elf.ts";
import { MAPS, PROGRAMS, STRUCTS } from "./layout.ts";

const object = readFileSync(new URL("../../../bpf/lvsd.bpf.o", import.meta.url));

describe("the committed BPF object agrees with layout.ts", () => {
  const compiled = structs(section(object, ".BTF")!)!;
  test.each(STRUCTS.map((s) => [s.name, s] as const))("in struct %s", (name, layout) => {
    const found = compiled.get(name);
    expect(found?.size).toBe(layout.size);
    expect(Object.fromEntries(found!.members)).toEqual(layout.at);
  });

  test.skipIf(libbpfMissing())("in its maps and programs", () => {
    const { maps, programs } = declarations(object);
    expect(programs).toEqual(expect.arrayContaining(Object.values(PROGRAMS)));
    for (const [name, layout] of Object.entries(MAPS)) {
      const type = MAP_TYPE[layout.type.toUpperCase() as keyof typeof MAP_TYPE];
      const map = { type, keySize: layout.key, valueSize: layout.value };
      expect({ name, ...maps.find((m) => m.name === name) }).toMatchObject({ name, ...map });
    }
  });
});
