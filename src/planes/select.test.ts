import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { enginePaths } from "./engine/paths.ts";
import { defaultPlane, kernelPresent, openPlane } from "./select.ts";

describe("the plane that a command works on", () => {
  let folder: string;
  const former = process.env["LVSD_RUN_DIR"];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lvsd-select-"));
    process.env["LVSD_RUN_DIR"] = folder;
  });
  afterEach(() => {
    if (former === undefined) delete process.env["LVSD_RUN_DIR"];
    else process.env["LVSD_RUN_DIR"] = former;
    rmSync(folder, { recursive: true });
  });

  it("is the kernel's ip_vs where that is loaded, else the engine", () => {
    expect(defaultPlane()).toBe(kernelPresent() ? "kernel" : "engine");
  });

  it("is the engine where one has rules, whatever the kernel has", () => {
    writeFileSync(enginePaths().rules, "{}");
    expect(defaultPlane()).toBe("engine");
  });

  it("has a name that is known", async () => {
    await expect(openPlane({ plane: "userland" })).rejects.toThrow(/engine, kernel and ebpf/);
  });
});
