/**
 * What of BPF this kernel has, found by trying, with the version that brought it.
 * @module
 */
import { readFileSync } from "node:fs";
import { close, lastErrno } from "../libc.ts";
import { Attr, CMD } from "./call.ts";
import { libbpf, libbpfMissing, takeMessages } from "./libbpf.ts";
import { hasTcx } from "./link.ts";
import { MAP_TYPE } from "./map.ts";

/** Program types (`enum bpf_prog_type`). */
export const PROG_TYPE = { SCHED_CLS: 3, XDP: 6 } as const;

/** Helpers (`enum bpf_func_id`) that are asked for. */
const HELPER = {
  fib_lookup: 69,
  redirect_neigh: 152,
  check_mtu: 163,
  ktime_get_coarse_ns: 160,
  timer_init: 169,
  loop: 181,
  map_lookup_percpu_elem: 195,
} as const;

/** One thing that was tried. */
export interface Feature {
  readonly name: string;
  /** Linux version that has it first. */
  readonly since: string;
  readonly present: boolean;
  /** Without it a plane cannot work at all. */
  readonly required: boolean;
  /** Why not, where there is more to say than the version. */
  readonly reason?: string;
}

let cached: readonly Feature[] | undefined;

/** Tries everything, once. Needs CAP_BPF and CAP_NET_ADMIN; without them everything is absent, and the reason says so. */
export function features(): readonly Feature[] {
  cached ??= tryAll();
  return cached;
}

function tryAll(): readonly Feature[] {
  const missing = libbpfMissing() ?? forbidden();
  const jit = jitOn();
  const feature = (name: string, since: string, required: boolean, test: () => boolean): Feature => {
    if (missing !== undefined) return { name, since, required, present: false, reason: missing };
    const present = test();
    takeMessages();
    return { name, since, required, present };
  };
  const helper =
    (id: number, type: number = PROG_TYPE.SCHED_CLS) =>
    (): boolean =>
      libbpf.probeHelper(type, id) === 1;
  return [
    feature("TC programs", "4.5", true, () => libbpf.probeProgramType(PROG_TYPE.SCHED_CLS) === 1),
    feature("XDP programs", "4.8", false, () => libbpf.probeProgramType(PROG_TYPE.XDP) === 1),
    feature("queues", "4.20", true, () => libbpf.probeMapType(MAP_TYPE.QUEUE) === 1),
    feature("ring buffers", "5.8", true, () => libbpf.probeMapType(MAP_TYPE.RINGBUF) === 1),
    feature("route look-ups", "4.18", true, helper(HELPER.fib_lookup)),
    feature("redirection with neighbour discovery", "5.10", true, helper(HELPER.redirect_neigh)),
    feature("the coarse clock", "5.11", true, helper(HELPER.ktime_get_coarse_ns)),
    feature("MTU checks", "5.12", true, helper(HELPER.check_mtu)),
    feature("timers", "5.15", true, helper(HELPER.timer_init)),
    feature("loops", "5.17", true, helper(HELPER.loop)),
    feature("reading per-CPU maps", "5.19", true, helper(HELPER.map_lookup_percpu_elem)),
    {
      name: "the BPF compiler (net.core.bpf_jit_enable)",
      since: "3.0",
      required: true,
      present: jit,
      ...(!jit && { reason: "it is switched off: sysctl net.core.bpf_jit_enable=1" }),
    },
    feature("TCX links", "6.6", false, hasTcx),
  ];
}

/** Why this process may not use BPF; undefined when it may. */
function forbidden(): string | undefined {
  // A map of one element, which everybody who may use BPF may make.
  const fd = new Attr(72).u32(0, MAP_TYPE.PERCPU_ARRAY).u32(4, 4).u32(8, 8).u32(12, 1).try(CMD.MAP_CREATE);
  if (fd >= 0) {
    close(fd);
    return undefined;
  }
  const errno = lastErrno();
  if (errno === 1) return "it needs root (CAP_BPF and CAP_NET_ADMIN)";
  if (errno === 38) return "this kernel was built without the system call bpf";
  return `the kernel refuses BPF maps (errno ${errno})`;
}

function jitOn(): boolean {
  try {
    return readFileSync("/proc/sys/net/core/bpf_jit_enable", "utf8").trim() !== "0";
  } catch {
    return true; // older kernels show it in the first network namespace only
  }
}
