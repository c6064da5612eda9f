/** The life of the daemon on the eBPF plane; `daemon.test.ts` has all of it on the engine plane. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { DaemonBed } from "./daemon-bed.ts";
import { daemonStory } from "./daemon-story.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid?.() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`the daemon on the eBPF plane is left out: ${cannot}`);

describe.skipIf(!root || cannot !== "")("the daemon on the eBPF plane", () => {
  const bed = new DaemonBed("de", "ebpf");
  beforeAll(async () => {
    await bed.up();
  });
  afterAll(() => bed.down());

  for (const { title, play } of daemonStory(bed)) test(title, play);
});
