import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { DISK, decodeText, expandBraces, glob, memoryFiles } from "./files.ts";

const files = memoryFiles(
  { "/etc/a.conf": "a", "/etc/b.conf": "b", "/etc/.c.conf": "c", "/etc/d/e.txt": "e" },
  ["/bin/true"],
);

it("memoryFiles() knows files, folders and programs", () => {
  expect(files.read("/etc/a.conf")).toBe("a");
  expect(files.read("/etc/none")).toBeUndefined();
  expect(files.kind("/etc")).toBe("directory");
  expect(files.kind("/bin/true")).toBe("executable");
  expect([...files.list("/etc")].sort()).toEqual([".c.conf", "a.conf", "b.conf", "d"]);
});

it("glob() matches as a shell does: sorted, hidden files only when asked for", () => {
  expect(glob(files, "*.conf", "/etc")).toEqual(["/etc/a.conf", "/etc/b.conf"]);
  expect(glob(files, ".*.conf", "/etc")).toEqual(["/etc/.c.conf"]);
  expect(glob(files, "/etc/[!a]*", "/")).toEqual(["/etc/b.conf", "/etc/d"]);
  expect(glob(files, "*/?.txt", "/etc")).toEqual(["/etc/d/e.txt"]);
  expect(glob(files, "none", "/etc")).toEqual([]);
});

it("expandBraces() gives every alternative", () => {
  expect(expandBraces("a{b,c{d,e}}f")).toEqual(["abf", "acdf", "acef"]);
  expect(expandBraces("{a}")).toEqual(["{a}"]);
});

it("decodeText() reads UTF-8, and Latin-1 when it is none", () => {
  expect(decodeText(Uint8Array.of(0xc2, 0xa0, 0x61))).toBe("\u00a0a");
  expect(decodeText(Uint8Array.of(0xa0, 0x61))).toBe("\u00a0a");
});

it("DISK reads what is there, and says undefined for the rest", () => {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-files-"));
  try {
    writeFileSync(join(folder, "a"), "x", { mode: 0o600 });
    writeFileSync(join(folder, "b"), "x", { mode: 0o755 });
    expect(DISK.read(join(folder, "a"))).toBe("x");
    expect(DISK.read(join(folder, "none"))).toBeUndefined();
    expect([DISK.kind(join(folder, "a")), DISK.kind(join(folder, "b")), DISK.kind(folder)]).toEqual([
      "file",
      "executable",
      "directory",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
