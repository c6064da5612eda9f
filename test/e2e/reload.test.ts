/** A thousand open connections while the configuration is loaded again a hundred times, on every data plane that can be had here. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { DaemonBed } from "./daemon-bed.ts";
import { HERE, noEbpf } from "./planes.ts";
import { reloadStory } from "./reload-story.ts";

const root = process.getuid?.() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`reloading on the eBPF plane is left out: ${cannot}`);

for (const plane of HERE) {
  describe.skipIf(!root || (plane === "ebpf" && cannot !== ""))(`reloading on the ${plane} plane`, () => {
    const bed = new DaemonBed(`r${plane[1]}`, plane);
    beforeAll(async () => {
      await bed.up();
    });
    afterAll(() => bed.down());

    for (const { title, play } of reloadStory(bed, 1000, 100)) test(title, play);
  });
}
