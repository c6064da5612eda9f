/**
 * Files as the readers of configurations see them: an interface, so that tests read from memory; the disk; and a memory.
 * @module
 */
import { accessSync, constants, readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";

/** What stands at a path. */
export type FileKind = "file" | "executable" | "directory" | "other";

/** Read-only access to a file system. Paths are absolute. */
export interface FileAccess {
  /** Text of a file; undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Names in a folder, without their path; empty when it cannot be read. */
  list(folder: string): readonly string[];
  /** Undefined when nothing is there, or when it is out of reach. */
  kind(path: string): FileKind | undefined;
}

/** Bytes of a configuration as text: UTF-8, or Latin-1 when they are none. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1");
  }
}

function kindOnDisk(path: string): FileKind | undefined {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return "directory";
    if (!stat.isFile()) return "other";
    if ((stat.mode & 0o111) === 0) return "file";
    accessSync(path, constants.X_OK);
    return "executable";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "other" : undefined;
  }
}

/** The machine's own files. */
export const DISK: FileAccess = {
  read(path) {
    try {
      return decodeText(readFileSync(path));
    } catch {
      return undefined;
    }
  },
  list(folder) {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
  kind: kindOnDisk,
};

/** Files held in memory, by absolute path; those named in `executables` can be run. */
export function memoryFiles(
  files: Readonly<Record<string, string>>,
  executables: readonly string[] = [],
): FileAccess {
  const folders = new Map<string, Set<string>>();
  for (const path of [...Object.keys(files), ...executables]) {
    for (let at = path; at !== "/"; at = posix.dirname(at)) {
      const folder = posix.dirname(at);
      folders.set(folder, (folders.get(folder) ?? new Set()).add(posix.basename(at)));
    }
  }
  return {
    read: (path) => (Object.hasOwn(files, path) ? files[path] : undefined),
    list: (folder) => [...(folders.get(folder) ?? [])],
    kind(path) {
      if (executables.includes(path)) return "executable";
      if (Object.hasOwn(files, path)) return "file";
      return folders.has(path) ? "directory" : undefined;
    },
  };
}

/** `a{b,c}d` as `abd` and `acd`, as a shell does it, nested too; the text itself when it has no such braces. */
export function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf("{");
  if (open < 0) return [pattern];
  const commas: number[] = [];
  let depth = 0;
  for (let i = open; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "{") depth++;
    else if (c === "," && depth === 1) commas.push(i);
    else if (c === "}" && --depth === 0) {
      if (commas.length === 0) break;
      const edges = [open, ...commas, i];
      const head = pattern.slice(0, open);
      const tail = pattern.slice(i + 1);
      return edges
        .slice(0, -1)
        .flatMap((from, n) => expandBraces(head + pattern.slice(from + 1, edges[n + 1]) + tail));
    }
  }
  return [pattern];
}

/** Whether a pattern has characters that glob(7) treats specially. */
export const hasWildcard = (pattern: string): boolean => /[*?[]/.test(pattern);

/** A regular expression for one path component, glob(7). A leading dot must be matched explicitly. */
function componentPattern(glob: string): RegExp {
  let source = glob.startsWith(".") ? "" : "(?!\\.)";
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i];
    const end = c === "[" ? glob.indexOf("]", i + (/^\[[!^]?\]/.test(glob.slice(i)) ? 3 : 2)) : -1;
    if (c === "*") source += ".*";
    else if (c === "?") source += ".";
    else if (end > 0) {
      const inner = glob
        .slice(i + 1, end)
        .replace(/\\/g, "\\\\")
        .replace(/\]/g, "\\]");
      source += `[${/^[!^]/.test(inner) ? `^${inner.slice(1)}` : inner}]`;
      i = end;
    } else if (c === "\\" && i + 1 < glob.length) source += `\\${glob[++i]}`.replace(/\\([\w])/, "$1");
    else source += c.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  }
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    return /(?!)/;
  }
}

/** Paths that match a pattern with `*`, `?`, `[...]`, sorted; relative ones start at `folder`. Braces are expanded before. */
export function glob(files: FileAccess, pattern: string, folder: string): string[] {
  const absolute = posix.resolve("/", folder, pattern);
  let found = ["/"];
  for (const part of absolute.split("/").filter((p) => p !== "")) {
    const next: string[] = [];
    for (const base of found) {
      if (!hasWildcard(part)) {
        const path = posix.join(base, part.replace(/\\(.)/g, "$1"));
        if (files.kind(path) !== undefined) next.push(path);
        continue;
      }
      const test = componentPattern(part);
      for (const name of files.list(base)) if (test.test(name)) next.push(posix.join(base, name));
    }
    found = next;
  }
  return found.filter((path) => path !== "/").sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
