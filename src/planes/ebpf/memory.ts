/**
 * Where this kernel counts its memory, for the automatic defence modes: the programs read it there themselves, as nothing of ours runs.
 * @module
 */
import { readFileSync } from "node:fs";
import { structs } from "../../wire/btf.ts";

/** Addresses in the kernel, and offsets in its structs, bytes. */
export interface MemoryPlaces {
  /** `vm_zone_stat`, whose first word is the number of free pages. */
  readonly freePages: bigint;
  /** Where the pages of block devices ("Buffers") are counted; undefined where the kernel has no type information. */
  readonly devices?: {
    readonly superblock: bigint;
    readonly superInodes: number;
    readonly inodeList: number;
    readonly inodeMapping: number;
    readonly mappingPages: number;
  };
}

/** CAP_PERFMON and CAP_SYS_ADMIN (`linux/capability.h`), either of which lets programs read the kernel's memory. */
const READERS = (1n << 38n) | (1n << 21n);

/** Finds them; a sentence about what is in the way when they cannot be found or read. */
export function memoryPlaces(): MemoryPlaces | string {
  if (/\[confidentiality\]/.test(read("/sys/kernel/security/lockdown")))
    return "its lockdown forbids reading how much memory is free";
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(read("/proc/self/status"))?.[1] ?? "0";
  if ((BigInt(`0x${capabilities}`) & READERS) === 0n)
    return "reading how much memory is free needs CAP_PERFMON";
  const symbols = read("/proc/kallsyms");
  const freePages = addressOf(symbols, "vm_zone_stat");
  if (freePages === 0n)
    return "it does not tell where it counts its free memory (CONFIG_KALLSYMS_ALL=y and kernel.kptr_restrict below 2 do)";
  const superblock = addressOf(symbols, "blockdev_superblock");
  const devices = superblock === 0n ? undefined : offsets();
  return devices ? { freePages, devices: { superblock, ...devices } } : { freePages };
}

function addressOf(symbols: string, name: string): bigint {
  const found = new RegExp(`^([0-9a-f]+) \\S ${name}$`, "m").exec(symbols);
  return found ? BigInt(`0x${found[1]}`) : 0n;
}

function offsets() {
  let types: ReturnType<typeof structs>;
  try {
    types = structs(readFileSync("/sys/kernel/btf/vmlinux"), ["super_block", "inode", "address_space"]);
  } catch {
    return undefined;
  }
  const superInodes = types?.get("super_block")?.members.get("s_inodes");
  const inodeList = types?.get("inode")?.members.get("i_sb_list");
  const inodeMapping = types?.get("inode")?.members.get("i_mapping");
  const mappingPages = types?.get("address_space")?.members.get("nrpages");
  if (superInodes === undefined || inodeList === undefined) return undefined;
  if (inodeMapping === undefined || mappingPages === undefined) return undefined;
  return { superInodes, inodeList, inodeMapping, mappingPages };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
