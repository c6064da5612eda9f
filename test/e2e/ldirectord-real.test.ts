/**
 * The other direction: Debian's own ldirectord drives our ipvsadm, which stands in the place of Debian's in a mount namespace.
 */
import { existsSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "vitest";
import { Player } from "./ldirectord-player.ts";
import { LdirectordStage, type Outcome } from "./ldirectord-stage.ts";
import { noEbpf } from "./planes.ts";

const ORIGINAL = "/usr/sbin/ldirectord";
/** The path by which the original calls it. */
const IPVSADM = "/usr/sbin/ipvsadm";
const OURS = join(process.cwd(), "dist/bin/ipvsadm");

const missing = [ORIGINAL, IPVSADM].filter((path) => !existsSync(path));
const reason = missing.length > 0 ? `${missing.join(" and ")} not installed` : "";
if (reason) console.log(`Debian's ldirectord with our ipvsadm is left out: ${reason}`);

class OriginalStage extends LdirectordStage {
  override readonly flickers = true;

  override ldirectord(...words: string[]): Promise<Outcome> {
    const script = `mount --bind "$0" ${IPVSADM} && exec ${ORIGINAL} "$@"`;
    const inPlace = this.write("ipvsadm", `#!/bin/sh\nexec ${OURS} "$@"\n`, true);
    return this.run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, inPlace, ...words);
  }
}

const cannot = reason === "" && process.getuid!() === 0 ? noEbpf() : "";
if (cannot) console.log(`Debian's ldirectord on the eBPF plane is left out: ${cannot}`);

describe.skipIf(process.getuid!() !== 0 || reason !== "")("Debian's ldirectord with our ipvsadm", () => {
  for (const [name, plane] of [
    ["g1-web-pair", "engine"],
    ["g2-quiescent", "engine"],
    ["g2-quiescent", "ebpf"],
  ] as const) {
    const all = Player.read(name);
    // Each of its rounds calls ipvsadm several times: what changes nothing new is left out.
    const scenario = { ...all, steps: all.steps.filter((step) => step.do !== "set") };
    const play = plane === "ebpf" && cannot !== "" ? test.skip : test.concurrent;
    play(`${plane}, ${name}: ${scenario.about}`, async () => {
      const stage = new OriginalStage(plane);
      // Its pid file is in /run, under the configuration's name.
      const player = new Player(stage, scenario, `${stage.netns}-`);
      try {
        await player.play();
      } finally {
        await stage.close();
        rmSync(`/run/ldirectord.${basename(player.cf)}.pid`, { force: true });
      }
    });
  }
});
