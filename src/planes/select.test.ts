import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ebpfPaths } from "./ebpf/paths.ts";
import { ebpfMissing } from "./ebpf/probe.ts";
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

  it("is the first that works, of eBPF, the kernel's ip_vs and the engine", async () => {
    const works = process.geteuid?.() === 0 && ebpfMissing() === undefined;
    expect(await defaultPlane()).toBe(works ? "ebpf" : kernelPresent() ? "kernel" : "engine");
  });

  it("is the engine where one has rules, whatever else works", async () => {
    writeFileSync(enginePaths().rules, "{}");
    expect(await defaultPlane()).toBe("engine");
  });

  it("is the engine where one runs, but not when it is without rules and another has some", async () => {
    writeFileSync(enginePaths().socket, "");
    expect(await defaultPlane()).toBe("engine");
    writeFileSync(ebpfPaths().rules, "");
    expect(await defaultPlane()).toBe("ebpf");
  });

  it("is the eBPF plane where that has rules of this very namespace", async () => {
    writeFileSync(enginePaths().socket, "");
    writeFileSync(join(folder, "ebpf-1.rules"), "");
    expect(await defaultPlane()).toBe("engine");
    writeFileSync(ebpfPaths().rules, "");
    expect(await defaultPlane()).toBe("ebpf");
  });

  it("has a name that is known", async () => {
    await expect(openPlane({ plane: "userland" })).rejects.toThrow(/ebpf, kernel and engine/);
  });
});
