import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { goldenCases } from "./golden-cases.ts";

goldenCases({
  name: "ebpf",
  missing: ebpfMissing(),
  skip: { "persistence-engine": "the BPF programs read no payload, so there is no SIP persistence" },
  cleanUp: (run) => removeBpffs(`${run}/bpf`),
});
