import { existsSync } from "node:fs";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { goldenCases } from "./golden-cases.ts";

/** Every command loads programs of its own here; `npm run test:long` plays all cases, `npm test` every fourth. */
const every = process.env["LVSD_E2E"] === "all" ? 1 : 4;

goldenCases({
  name: "ebpf",
  every,
  missing: existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built",
  cleanUp: (run) => removeBpffs(`${run}/bpf`),
});
