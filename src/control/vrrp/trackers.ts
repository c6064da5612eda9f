/**
 * Everything that VRRP instances track besides interfaces: scripts, files, processes. Runs in the daemon; its results go to the VRRP process.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { TrackResult } from "./messages.ts";
import { type Run, sameScript, TrackScript } from "./run-track-scripts.ts";
import type { TrackSpec, VrrpSpec } from "./spec.ts";
import { TrackFile } from "./watch-track-files.ts";
import { TrackProcesses } from "./watch-track-processes.ts";

export interface TrackersOptions {
  /** Hears each first result and every change. */
  readonly onResult: (result: TrackResult) => void;
  /** Lines in keepalived's words. */
  readonly log: (text: string) => void;
  /** @default runs the program */
  readonly run?: Run;
}

export interface Trackers {
  /** Starts, ends and keeps what the specification says; only what some instance or group tracks is watched. */
  configure(spec: VrrpSpec): void;
  /** The newest result of each, for a VRRP process that was started again. */
  results(): TrackResult[];
  close(): void;
}

/** Makes trackers that watch nothing yet. */
export function createTrackers(options: TrackersOptions): Trackers {
  const scripts = new Map<string, TrackScript>();
  const files = new Map<string, TrackFile>();
  let processes: TrackProcesses | undefined;
  const { onResult, log } = options;
  const result = (item: TrackResult["item"], name: string, value: number): TrackResult => ({
    kind: "track",
    item,
    name,
    value,
  });

  function configure(spec: VrrpSpec): void {
    const tracked = (of: (holder: Holder) => readonly TrackSpec[]): Set<string> =>
      new Set([...spec.instances, ...spec.groups].flatMap((holder) => of(holder).map((t) => t.name)));
    const names = tracked((h) => h.trackScripts);
    const wanted = new Map(spec.scripts.filter((s) => names.has(s.name)).map((s) => [s.name, s]));
    for (const [name, running] of scripts) {
      const next = wanted.get(name);
      if (next && sameScript(next, running.spec)) continue;
      running.close();
      scripts.delete(name);
    }
    for (const [name, script] of wanted) {
      if (scripts.has(name)) continue;
      const tell = (good: boolean) => onResult(result("script", name, good ? 1 : 0));
      scripts.set(name, new TrackScript(script, tell, log, options.run));
    }

    const fileNames = tracked((h) => h.trackFiles);
    const wantedFiles = new Map(spec.files.filter((f) => fileNames.has(f.name)).map((f) => [f.name, f]));
    for (const [name, watched] of files) {
      if (wantedFiles.get(name)?.path === watched.spec.path) continue;
      watched.close();
      files.delete(name);
    }
    for (const [name, file] of wantedFiles)
      if (!files.has(name))
        files.set(name, new TrackFile(file, (value) => onResult(result("file", name, value)), log));

    const processNames = tracked((h) => h.trackProcesses);
    const wantedProcesses = spec.processes.filter((p) => processNames.has(p.name));
    if (!isDeepStrictEqual(wantedProcesses, processes?.specs ?? [])) {
      processes?.close();
      processes = undefined;
      if (wantedProcesses.length > 0)
        processes = new TrackProcesses(wantedProcesses, (name, good) =>
          onResult(result("process", name, good ? 1 : 0)),
        );
    }
  }

  return {
    configure,
    results: () => [
      ...[...scripts].flatMap(([name, s]) =>
        s.good === undefined ? [] : [result("script", name, s.good ? 1 : 0)],
      ),
      ...[...files].flatMap(([name, f]) => (f.value === undefined ? [] : [result("file", name, f.value)])),
      ...[...(processes?.results ?? [])].map(([name, good]) => result("process", name, good ? 1 : 0)),
    ],
    close: () => {
      for (const running of [...scripts.values(), ...files.values()]) running.close();
      scripts.clear();
      files.clear();
      processes?.close();
      processes = undefined;
    },
  };
}

/** What has track lists: an instance or a group. */
type Holder = Pick<VrrpSpec["instances"][number], "trackScripts" | "trackFiles" | "trackProcesses">;
