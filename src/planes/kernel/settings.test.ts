import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings, writeSettings } from "./settings.ts";

describe("settings of the kernel plane", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lvsd-sysctl-"));
    writeFileSync(join(folder, "conntrack"), "0\n");
    writeFileSync(join(folder, "sync_threshold"), "3\t50\n");
    writeFileSync(join(folder, "debug_level"), "0\n");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("are those that this kernel has, with their types", () => {
    expect(readSettings(folder)).toEqual({ conntrack: 0, sync_threshold: "3 50" });
  });

  it("are written as the kernel reads them", () => {
    writeSettings({ conntrack: 1, sync_threshold: "5 60" }, folder);
    expect(readFileSync(join(folder, "conntrack"), "utf8")).toBe("1");
    expect(readFileSync(join(folder, "sync_threshold"), "utf8")).toBe("5 60");
  });

  it("nothing is written when one of them is refused", () => {
    expect(() => writeSettings({ conntrack: 1, sync_threshold: "9 9" }, folder)).toThrow(/sync_threshold/);
    expect(() => writeSettings({ conntrack: 1, sloppy_tcp: 1 }, folder)).toThrow(/no setting sloppy_tcp/);
    expect(readSettings(folder).conntrack).toBe(0);
  });

  it("what ip_vs never has is refused with the plane that has it", () => {
    expect(() => writeSettings({ fullnat_toa: 1 }, folder)).toThrow(/LVSD_PLANE=engine/);
  });

  it("without the module there are none, and it says so", () => {
    expect(() => readSettings(join(folder, "none"))).toThrow(/ip_vs is not loaded/);
  });
});
