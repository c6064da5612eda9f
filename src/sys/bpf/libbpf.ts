/**
 * The library libbpf.so.1, as far as the kernel has no system call for it: reading object files, relocating and loading them,
 * and the classic TC filters. Messages it would print are kept.
 * @module
 */
import koffi from "koffi";
import { SysError } from "../libc.ts";

type Lib = ReturnType<typeof koffi.load>;
let lib: Lib | undefined;
const said: string[] = [];

function library(): Lib {
  if (lib) return lib;
  try {
    lib = koffi.load("libbpf.so.1");
  } catch (error) {
    throw new Error("libbpf.so.1 is not installed (Debian: libbpf1; it comes with iproute2)", {
      cause: error,
    });
  }
  keepMessages(lib);
  return lib;
}

/** Collects warnings instead of having them on stderr. */
function keepMessages(from: Lib): void {
  const vsnprintf = koffi.load(null).func("int vsnprintf(void *, size_t, const char *, void *)");
  const Print = koffi.proto("int lvsd_libbpf_print(int level, const char *format, void *args)");
  const buffer = Buffer.alloc(4096);
  const print = koffi.register((level: number, format: string, args: unknown): number => {
    if (level > 0) return 0; // information and debugging
    const n = vsnprintf(buffer, buffer.length, format, args) as number;
    said.push(buffer.toString("utf8", 0, Math.max(0, Math.min(n, buffer.length - 1))).trimEnd());
    return 0;
  }, koffi.pointer(Print));
  from.func("void *libbpf_set_print(void *)")(print);
}

/** What libbpf had to say since the last call. */
export const takeMessages = (): string[] => said.splice(0);

const declared = new Map<string, (...args: unknown[]) => unknown>();
function func(definition: string): (...args: unknown[]) => unknown {
  let f = declared.get(definition);
  if (!f) {
    f = library().func(definition) as unknown as (...args: unknown[]) => unknown;
    declared.set(definition, f);
  }
  return f;
}

/** A pointer into libbpf's memory; 0 is NULL. */
export type Handle = number;

const handle = (value: unknown): Handle => Number(value);
/** The functions that are used, by their own names. */
export const libbpf = {
  openMem: (bytes: Uint8Array, options: Uint8Array): Handle =>
    handle(func("uintptr_t bpf_object__open_mem(void *, size_t, void *)")(bytes, bytes.length, options)),
  load: (object: Handle): number => func("int bpf_object__load(uintptr_t)")(object) as number,
  closeObject: (object: Handle): void => void func("void bpf_object__close(uintptr_t)")(object),
  nextMap: (object: Handle, after: Handle): Handle =>
    handle(func("uintptr_t bpf_object__next_map(uintptr_t, uintptr_t)")(object, after)),
  nextProgram: (object: Handle, after: Handle): Handle =>
    handle(func("uintptr_t bpf_object__next_program(uintptr_t, uintptr_t)")(object, after)),
  mapName: (map: Handle): string => func("const char *bpf_map__name(uintptr_t)")(map) as string,
  mapFd: (map: Handle): number => func("int bpf_map__fd(uintptr_t)")(map) as number,
  mapReuseFd: (map: Handle, fd: number): number =>
    func("int bpf_map__reuse_fd(uintptr_t, int)")(map, fd) as number,
  mapSetMaxEntries: (map: Handle, count: number): number =>
    func("int bpf_map__set_max_entries(uintptr_t, uint32_t)")(map, count) as number,
  mapMaxEntries: (map: Handle): number => func("uint32_t bpf_map__max_entries(uintptr_t)")(map) as number,
  mapType: (map: Handle): number => func("int bpf_map__type(uintptr_t)")(map) as number,
  mapKeySize: (map: Handle): number => func("uint32_t bpf_map__key_size(uintptr_t)")(map) as number,
  mapValueSize: (map: Handle): number => func("uint32_t bpf_map__value_size(uintptr_t)")(map) as number,
  mapFlags: (map: Handle): number => func("uint32_t bpf_map__map_flags(uintptr_t)")(map) as number,
  mapIsInternal: (map: Handle): boolean => func("bool bpf_map__is_internal(uintptr_t)")(map) as boolean,
  mapInitialValue: (map: Handle, size: Uint8Array): Handle =>
    handle(func("uintptr_t bpf_map__initial_value(uintptr_t, void *)")(map, size)),
  mapSetInitialValue: (map: Handle, value: Uint8Array): number =>
    func("int bpf_map__set_initial_value(uintptr_t, void *, size_t)")(map, value, value.length) as number,
  programName: (program: Handle): string =>
    func("const char *bpf_program__name(uintptr_t)")(program) as string,
  programFd: (program: Handle): number => func("int bpf_program__fd(uintptr_t)")(program) as number,
  programType: (program: Handle): number => func("int bpf_program__type(uintptr_t)")(program) as number,
  programSetAutoload: (program: Handle, load: boolean): number =>
    func("int bpf_program__set_autoload(uintptr_t, bool)")(program, load) as number,
  tcHookCreate: (hook: Uint8Array): number => func("int bpf_tc_hook_create(void *)")(hook) as number,
  tcAttach: (hook: Uint8Array, options: Uint8Array): number =>
    func("int bpf_tc_attach(void *, void *)")(hook, options) as number,
  tcDetach: (hook: Uint8Array, options: Uint8Array): number =>
    func("int bpf_tc_detach(void *, void *)")(hook, options) as number,
  tcQuery: (hook: Uint8Array, options: Uint8Array): number =>
    func("int bpf_tc_query(void *, void *)")(hook, options) as number,
  probeHelper: (programType: number, helper: number): number =>
    func("int libbpf_probe_bpf_helper(int, int, void *)")(programType, helper, null) as number,
  probeMapType: (type: number): number =>
    func("int libbpf_probe_bpf_map_type(int, void *)")(type, null) as number,
  probeProgramType: (type: number): number =>
    func("int libbpf_probe_bpf_prog_type(int, void *)")(type, null) as number,
} as const;

/** Whether the library is there; why not. */
export function libbpfMissing(): string | undefined {
  try {
    library();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The result of a function that returns -errno, or a {@link SysError} with what the library said. */
export function succeeded(call: string, result: number, what = ""): number {
  const messages = takeMessages();
  if (result >= 0) return result;
  const hint = messages.map((m) => m.replace(/^libbpf: /, "")).join("; ");
  throw new SysError(call, -result, [what, hint].filter(Boolean).join(": "));
}
