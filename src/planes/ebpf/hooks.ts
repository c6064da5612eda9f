/**
 * The programs on the interfaces of the namespace that this thread is in.
 * @module
 */
import { mkdirSync, rmdirSync, unlinkSync } from "node:fs";
import { type Interface, interfaces } from "../../sys/bpf/interfaces.ts";
import {
  attachFilter,
  attachTcx,
  type Direction,
  filterProgram,
  hasTcx,
  linkInfo,
} from "../../sys/bpf/link.ts";
import { openPin, pin } from "../../sys/bpf/pins.ts";
import { programInfo } from "../../sys/bpf/program.ts";
import { close } from "../../sys/libc.ts";
import { filterMarks, hookPins } from "./installation.ts";
import { PROGRAMS } from "./layout.ts";
import { isMarkDevice, MARK_DEVICE } from "./marks.ts";
import type { EbpfPaths } from "./paths.ts";

/** Masters that take their ports' packets over and show them as their own: a hook there sees all, and each once. */
const COLLECTING = ["bridge", "bond", "team", "openvswitch", "hsr"];

/** What is hooked, and what is not. */
export interface HookReport {
  /** Names of hooked interfaces. */
  readonly hooked: readonly string[];
  /** Ports whose packets are seen at their bridge or bond. */
  readonly covered: readonly string[];
  /** Interfaces whose packets are not looked at, and why. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

interface Place {
  readonly index: number;
  readonly direction: Direction;
  readonly program: string;
}

const nameOf = ({ index, direction, program }: Place): string => `${index}-${direction}-${program}`;

function covered(one: Interface, all: readonly Interface[]): boolean {
  const master = all.find((other) => other.index === one.master);
  return master !== undefined && COLLECTING.includes(master.kind);
}

/** Where programs belong on an interface; `egress` when replies of servers on this host have to be looked at. */
function placesOf(one: Interface, egress: boolean): Place[] {
  const { index } = one;
  if (one.name === MARK_DEVICE) return [{ index, direction: "egress", program: PROGRAMS.marked }];
  if (isMarkDevice(one)) return [];
  const ingress = one.headerless ? PROGRAMS.ingressRaw : PROGRAMS.ingress;
  const places: Place[] = [{ index, direction: "ingress", program: ingress }];
  if (egress && !one.loopback)
    places.push({
      index,
      direction: "egress",
      program: one.headerless ? PROGRAMS.egressRaw : PROGRAMS.egress,
    });
  return places;
}

/**
 * Hooks what is not hooked yet, and lets go of what is no more. Call with the global lock held.
 * @param egress whether replies of servers on this host have to be looked at
 */
export function hookInterfaces(paths: EbpfPaths, egress: boolean): HookReport {
  const all = interfaces();
  const wanted = all.filter((one) => !covered(one, all));
  const missing: { name: string; reason: string }[] = [];
  const hooked: string[] = [];
  const hook = hasTcx() ? linkHooker(paths) : filterHooker(paths);
  for (const one of wanted) {
    try {
      for (const place of placesOf(one, egress)) hook.attach(place);
      if (!isMarkDevice(one)) hooked.push(one.name);
    } catch (error) {
      missing.push({ name: one.name, reason: (error as Error).message });
    }
  }
  hook.forget(new Set(wanted.flatMap((one) => placesOf(one, egress)).map(nameOf)));
  return { hooked, missing, covered: all.filter((one) => covered(one, all)).map(({ name }) => name) };
}

/** What is hooked now; changes nothing. */
export function hookReport(paths: EbpfPaths): HookReport {
  const all = interfaces().filter((one) => !isMarkDevice(one));
  const alive = new Set(
    [...hookPins(paths).filter(({ path }) => linkIndex(path) !== 0), ...filterMarks(paths)].map(nameOf),
  );
  const isHooked = (one: Interface): boolean =>
    placesOf(one, false).every((place) => alive.has(nameOf(place)));
  const outside = all.filter((one) => !covered(one, all));
  return {
    hooked: outside.filter(isHooked).map(({ name }) => name),
    covered: all.filter((one) => covered(one, all)).map(({ name }) => name),
    missing: outside
      .filter((one) => !isHooked(one))
      .map(({ name }) => ({ name, reason: "it came later; the next change of rules hooks it" })),
  };
}

/** Index of the interface that a pinned link is on; 0 when it is gone. */
export function linkIndex(path: string): number {
  const fd = openPin(path);
  if (fd === undefined) return 0;
  try {
    return linkInfo(fd).ifindex;
  } finally {
    close(fd);
  }
}

interface Hooker {
  attach(place: Place): void;
  /** Forgets every place that is not among these. */
  forget(wanted: ReadonlySet<string>): void;
}

function withProgram<T>(paths: EbpfPaths, name: string, body: (fd: number) => T): T {
  const fd = openPin(`${paths.pins}/programs/${name}`);
  if (fd === undefined) throw new Error(`the program ${name} is not there`);
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}

function linkHooker(paths: EbpfPaths): Hooker {
  const pins = hookPins(paths);
  const there = new Map(pins.map((hook) => [nameOf(hook), hook]));
  return {
    attach(place) {
      const name = nameOf(place);
      const old = there.get(name);
      if (old && linkIndex(old.path) === place.index) return;
      if (old) unlinkSync(old.path);
      withProgram(paths, place.program, (program) => {
        const link = attachTcx(program, place.index, place.direction);
        try {
          pin(link, `${paths.pins}/links/${name}`);
        } finally {
          close(link);
        }
      });
    },
    forget(wanted) {
      for (const hook of pins) {
        if (wanted.has(nameOf(hook)) && linkIndex(hook.path) !== 0) continue;
        try {
          unlinkSync(hook.path);
        } catch {
          // Replaced just now.
        }
      }
    },
  };
}

function filterHooker(paths: EbpfPaths): Hooker {
  const folder = `${paths.pins}/filters`;
  return {
    attach(place) {
      withProgram(paths, place.program, (program) => {
        if (filterProgram(place.index, place.direction) !== programInfo(program).id)
          attachFilter(program, place.index, place.direction);
      });
      mkdirSync(`${folder}/${nameOf(place)}`, { recursive: true });
    },
    forget(wanted) {
      for (const mark of filterMarks(paths)) if (!wanted.has(nameOf(mark))) rmdirSync(mark.path);
    },
  };
}
