/**
 * Scenarios of ldirectord, recorded with the original: after every step our daemon must have left the same table. What differs on
 * purpose has an expectation of its own, beside the recorded one, with the reason.
 */
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { describe, test } from "vitest";
import { folder, Player } from "./ldirectord-player.ts";
import { LdirectordStage } from "./ldirectord-stage.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid!() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`ldirectord on the eBPF plane is left out: ${cannot}`);

/** Scenarios that are played on the eBPF plane too. */
const TWICE = ["g1-web-pair", "g2-quiescent"];

describe.skipIf(!root)("scenarios of the original", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".events"));
  const plays = files
    .map((file) => basename(file, ".events"))
    .flatMap((name) => [
      { name, plane: "engine" as const },
      ...(TWICE.includes(name) ? [{ name, plane: "ebpf" as const }] : []),
    ]);
  for (const { name, plane } of plays) {
    const scenario = Player.read(name);
    const play = plane === "ebpf" && cannot !== "" ? test.skip : test.concurrent;
    play(`${plane}, ${name}: ${scenario.about}`, async () => {
      const stage = new LdirectordStage(plane);
      try {
        await new Player(stage, scenario).play();
      } finally {
        await stage.close();
      }
    });
  }
});
