import { existsSync } from "node:fs";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { goldenCases } from "./golden-cases.ts";

const NO_SIP = "it makes a UDP service with the persistence engine sip, which reads payload";

goldenCases({
  name: "ebpf",
  missing: existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built",
  skip: { "persistence-engine": NO_SIP, "save-formats": NO_SIP, "option-matrix": NO_SIP },
  cleanUp: (run) => removeBpffs(`${run}/bpf`),
});
