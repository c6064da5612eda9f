/**
 * The programs on the interfaces of the namespace that this thread is in.
 * @module
 */
import { existsSync, mkdirSync, rmdirSync, unlinkSync } from "node:fs";
import { UnsupportedError } from "../../core/errors.ts";
import { type Interface, interfaces } from "../../sys/bpf/interfaces.ts";
import {
  attachFilter,
  attachTcx,
  attachXdp,
  type Direction,
  detachFilter,
  filterProgram,
  hasTcx,
  linkInfo,
} from "../../sys/bpf/link.ts";
import { openPin, pin } from "../../sys/bpf/pins.ts";
import { programInfo } from "../../sys/bpf/program.ts";
import { attachWitness } from "../../sys/bpf/witness.ts";
import { close } from "../../sys/libc.ts";
import { filterMarks, hookPins, witnessPin } from "./installation.ts";
import { PROGRAMS } from "./layout.ts";
import { isMarkDevice, MARK_DEVICE } from "./marks.ts";
import type { EbpfPaths } from "./paths.ts";
import { withProgram } from "./programs.ts";
import { checkNames, wantsXdp, writeOutlets, xdpFeatures, xdpWish } from "./xdp.ts";

/** Masters that take their ports' packets over and show them as their own: a hook there sees all, and each once. */
const COLLECTING = ["bridge", "bond", "team", "openvswitch", "hsr"];

/** What is hooked, and what is not. */
export interface HookReport {
  /** Names of hooked interfaces. */
  readonly hooked: readonly string[];
  /** Those of them that have the XDP program too. */
  readonly xdp: readonly string[];
  /** Ports whose packets are seen at their bridge or bond. */
  readonly covered: readonly string[];
  /** Interfaces whose packets are not looked at, and why. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

/** Where nothing is installed. */
export const NOTHING_HOOKED: HookReport = { hooked: [], xdp: [], covered: [], missing: [] };

interface Place {
  readonly index: number;
  readonly direction: Direction | "xdp";
  readonly program: string;
}

const nameOf = ({ index, direction, program }: Place): string => `${index}-${direction}-${program}`;

function covered(one: Interface, all: readonly Interface[]): boolean {
  const master = all.find((other) => other.index === one.master);
  return master !== undefined && COLLECTING.includes(master.kind);
}

/** Where TC programs belong on an interface; `egress` when replies of servers on this host have to be looked at. */
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

const xdpPlace = ({ index }: Interface): Place => ({ index, direction: "xdp", program: PROGRAMS.xdp });

/**
 * Hooks what is not hooked yet, and lets go of what is no more. Call with the global lock held.
 * @param egress whether replies of servers on this host have to be looked at
 * @throws UnsupportedError when XDP was asked for where it cannot be
 */
export function hookInterfaces(paths: EbpfPaths, egress: boolean): HookReport {
  const all = interfaces();
  const wanted = all.filter((one) => !covered(one, all));
  const missing: { name: string; reason: string }[] = [];
  const hooked: string[] = [];
  const links = linkHooker(paths);
  const tcx = hasTcx();
  const hook = tcx ? links : filterHooker(paths);
  if (!tcx) witness(paths);
  for (const one of wanted) {
    try {
      for (const place of placesOf(one, egress)) hook.attach(place);
      if (!isMarkDevice(one)) hooked.push(one.name);
    } catch (error) {
      missing.push({ name: one.name, reason: (error as Error).message });
    }
  }
  const places = wanted.flatMap((one) => placesOf(one, egress));
  const xdp = hookXdp(paths, all, wanted, links);
  if (hook !== links) hook.forget(new Set(places.map(nameOf)));
  links.forget(new Set([...(hook === links ? places : []), ...xdp.map(xdpPlace)].map(nameOf)));
  return {
    hooked,
    xdp: xdp.map(({ name }) => name),
    missing,
    covered: all.filter((one) => covered(one, all)).map(({ name }) => name),
  };
}

/** Leaves what tells later that the namespace is gone, where filters do not. */
function witness(paths: EbpfPaths): void {
  if (existsSync(witnessPin(paths))) return;
  try {
    const link = attachWitness();
    try {
      pin(link, witnessPin(paths));
    } finally {
      close(link);
    }
  } catch {
    // A kernel without: then "lvsd planes reset" has to be said before the namespace goes.
  }
}

/** @returns the interfaces that have the XDP program now */
function hookXdp(
  paths: EbpfPaths,
  all: readonly Interface[],
  wanted: readonly Interface[],
  links: Hooker,
): Interface[] {
  const wish = xdpWish();
  checkNames(wish, all, (one) => covered(one, all));
  const features = xdpFeatures();
  const has: Interface[] = [];
  for (const one of wanted) {
    if (isMarkDevice(one)) continue;
    const there = links.has(xdpPlace(one));
    const want = wantsXdp(one, wish, features);
    if (want === "no" && !(wish.kind === "automatic" && there)) continue;
    try {
      links.attach(xdpPlace(one));
      has.push(one);
    } catch (error) {
      // Without it TC does all of it.
      if (want === "yes")
        throw new UnsupportedError(
          `LVSD_XDP: ${one.name}: ${(error as Error).message}; without it TC is used`,
        );
    }
  }
  // Drivers may be able to do more once they have a program.
  const able = has.length > 0 ? xdpFeatures() : features;
  writeOutlets(
    paths,
    has.map(({ index }) => index),
    able,
  );
  return has;
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
    xdp: outside.filter((one) => alive.has(nameOf(xdpPlace(one)))).map(({ name }) => name),
    covered: all.filter((one) => covered(one, all)).map(({ name }) => name),
    missing: outside
      .filter((one) => !isHooked(one))
      .map(({ name }) => ({ name, reason: "it came later; the next ipvsadm command hooks it" })),
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
  has(place: Place): boolean;
  attach(place: Place): void;
  /** Forgets every place that is not among these. */
  forget(wanted: ReadonlySet<string>): void;
}

function linkHooker(paths: EbpfPaths): Hooker {
  const pins = hookPins(paths);
  const there = new Map(pins.map((hook) => [nameOf(hook), hook]));
  const has = (place: Place): boolean => {
    const old = there.get(nameOf(place));
    return old !== undefined && linkIndex(old.path) === place.index;
  };
  return {
    has,
    attach(place) {
      if (has(place)) return;
      const name = nameOf(place);
      if (there.has(name)) unlinkSync(there.get(name)!.path);
      withProgram(paths.pins, place.program, (program) => {
        const { index, direction } = place;
        const link = direction === "xdp" ? attachXdp(program, index) : attachTcx(program, index, direction);
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
    has: (place) => filterMarks(paths).some((mark) => nameOf(mark) === nameOf(place)),
    attach(place) {
      const { index, direction } = place;
      if (direction === "xdp") return;
      withProgram(paths.pins, place.program, (program) => {
        if (filterProgram(index, direction) !== programInfo(program).id)
          attachFilter(program, index, direction);
      });
      mkdirSync(`${folder}/${nameOf(place)}`, { recursive: true });
    },
    forget(wanted) {
      for (const mark of filterMarks(paths)) {
        if (wanted.has(nameOf(mark))) continue;
        try {
          detachFilter(mark.index, mark.direction);
        } catch {
          // The interface went before.
        }
        rmdirSync(mark.path);
      }
    },
  };
}
