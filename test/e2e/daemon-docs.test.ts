/** docs/run.md, from its first example to its last. `LVSD_UPDATE_DOCS=1` writes what happens now into it. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { DaemonBed, type Running } from "./daemon-bed.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid?.() === 0;
const update = process.env["LVSD_UPDATE_DOCS"] === "1";
const DOCUMENT = new URL("../../docs/run.md", import.meta.url);
const text = readFileSync(DOCUMENT, "utf8");

/** What differs from run to run is replaced: process numbers, times, counts, widths of columns. */
const stable = (shown: string): string =>
  shown
    .replace(/\bplane (ebpf|engine)\b/g, "plane P")
    .replace(/process \d+/g, "process N")
    .replace(/daemon-\d+/g, "daemon-N")
    .replace(/\d+ (connections?|untouched|may finish)\b/g, "N $1")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")
    .replace(/\d[\d.]*[kMG]?\/s \d[\d.]*[kMG]?pps \d[\d.]*[kMG]?b\/s/g, "RATES")
    .replace(/\b(\d+[dhms]){1,2}\b/g, "AGE")
    .replace(/[\d.]+ ms/g, "N ms")
    .replace(/ (Masq +\d+|nat|rr) +\d+ +\d+/g, " $1 C C")
    .replace(/\d+ (in)?active/g, "N $1active")
    .replace(/[-─]{3,}/g, "---")
    .replace(/ +$/gm, "")
    .replace(/ {2,}/g, " ")
    .trim();

describe.skipIf(!root)("docs/run.md", () => {
  const bed = new DaemonBed("m", root && noEbpf() === "" ? "ebpf" : "engine");
  let server2: Running;
  let original = "";
  afterAll(async () => {
    await bed.status("lvsd", "stop");
    await bed.down();
  });

  const here = (line: string): string => line.replaceAll("/etc/keepalived", bed.folder);
  const there = (line: string): string =>
    line.replaceAll(bed.folder, "/etc/keepalived").replaceAll(bed.net.runDirectory, "/run/lvsd");
  const setConfiguration = (content: string): string => bed.write("keepalived.conf", here(content));

  /** What the reader is told to have happened. */
  const deeds: Record<string, () => unknown> = {
    "ill server1": () => bed.ill("server1", true),
    "well server1": () => bed.ill("server1", false),
    "stop server2": () => server2.kill(),
    "start server2": async () => {
      server2 = await bed.serve("server2", 8001);
    },
    "edit weight 3": () =>
      setConfiguration(
        original
          .replace("10.2.0.11 8001 {", "10.2.0.11 8001 {\n        weight 3")
          .replace(/ {4}real_server 10\.2\.0\.12 8001 \{[\s\S]*?\n {4}\}\n/, ""),
      ),
    "edit wrong": () => setConfiguration(original.replace("lb_algo rr", "lb_algo rrr")),
    "edit original": () => setConfiguration(original),
  };

  async function shown(prompt: string, command: string): Promise<string> {
    const host = prompt === "client$" ? "client" : "director";
    const running = bed.spawn(host, ["sh", "-c", `${here(command)} 2>&1`]);
    await running.exited;
    return there(running.out);
  }

  /** Runs a command until it shows what the document says: what happened takes a moment to be noticed. */
  async function play(prompt: string, command: string, expected: string): Promise<string> {
    const looks = /^(lvsd (status|events)|ipvsadm -ln|curl|cat) ?/.test(command);
    const giveUpAt = Date.now() + (looks && !update ? 20_000 : 0);
    if (update) await new Promise((resolve) => setTimeout(resolve, 2500));
    for (;;) {
      const now = await shown(prompt, command);
      if (update || stable(now) === stable(expected) || Date.now() > giveUpAt) return now;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  test("shows what really happens", async () => {
    await bed.up();
    bed.net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    bed.write("tell", `#!/bin/sh\necho "$*" >>${bed.path("told")}\n`);
    await bed.command("chmod", "755", bed.path("tell"));
    const server1 = await bed.serve("server1", 8001);
    server2 = await bed.serve("server2", 8001);
    await bed.serve("server2", 8009);
    expect(server1.ended).toBe(false);

    let document = text;
    let commands = 0;
    for (const [part, deed, language, body] of text.matchAll(
      /<!-- do: (.*) -->|^```(conf|console)\n([\s\S]*?)^```$/gm,
    )) {
      if (deed !== undefined) await deeds[deed]!();
      else if (language === "conf") {
        original = body!;
        setConfiguration(original);
      } else {
        let block = "";
        const pieces = body!.split(/^((?:director#|client\$) .*)\n/m).slice(1);
        for (let i = 0; i < pieces.length; i += 2) {
          const [, prompt, command] = /^(\S+) (.*)$/.exec(pieces[i]!)!;
          const now = await play(prompt!, command!, pieces[i + 1]!);
          commands++;
          if (!update) expect(stable(now), command).toBe(stable(pieces[i + 1]!));
          block += `${pieces[i]}\n${now.replace(/ +$/gm, "").trimEnd()}${now.trim() === "" ? "" : "\n"}`;
        }
        if (update) document = document.replace(part, () => `\`\`\`console\n${block}\`\`\``);
      }
    }
    expect(commands).toBeGreaterThan(20);
    if (update) writeFileSync(DOCUMENT, document);
  });
});
