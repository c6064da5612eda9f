import { existsSync } from "node:fs";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { goldenCases } from "./golden-cases.ts";

const NO_SYNC = "it starts a sync daemon, which this plane refuses";

/** Every command loads programs of its own here; `npm run test:long` plays all cases, `npm test` every fourth. */
const every = process.env["LVSD_E2E"] === "all" ? 1 : 4;

goldenCases({
  name: "ebpf",
  every,
  missing: existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built",
  skip: {
    "daemon-errors": NO_SYNC,
    "daemon-options": NO_SYNC,
    "daemon-start-stop": NO_SYNC,
    "mixed-family": NO_SYNC,
    "option-duplicates": NO_SYNC,
  },
  cleanUp: (run) => removeBpffs(`${run}/bpf`),
});
