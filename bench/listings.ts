/**
 * Commands over a large table on the eBPF plane: 10,000 services of 4 real servers, a million connections. Processor time and greatest
 * memory of each command.
 *
 *     npm run bench -- listings [--quick]
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { namedNetns } from "../src/sys/netns.ts";
import { toWords } from "../src/wire/address.ts";
import { compilePackets } from "./dataplane/compile.ts";
import { type Director, Wires } from "./dataplane/wires.ts";

const quick = process.argv.includes("--quick");
const SERVICES = quick ? 1000 : 10_000;
const SERVERS = 4;
const CONNECTIONS = quick ? 100_000 : 1_000_000;
const VIP = "10.9.0.1";

/** Prints what it used when it ends: greatest memory (kB), processor time (us). */
const METER = `process.on("exit", () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  require("fs").writeSync(2, "\\nused " + maxRSS + " " + (userCPUTime + systemCPUTime));
});`;

interface Cost {
  readonly seconds: number;
  /** Seconds of processor time. */
  readonly busy: number;
  /** MB. */
  readonly memory: number;
  /** Bytes that it printed. */
  readonly printed: number;
}

/** `ipvsadm -R` input. */
function rules(): string {
  let text = "";
  for (let s = 0; s < SERVICES; s++) {
    const port = 1 + s;
    text += `-A -u ${VIP}:${port} -s rr\n`;
    for (let n = 1; n <= SERVERS; n++)
      text += `-a -u ${VIP}:${port} -r 10.3.${s % 250}.${(Math.floor(s / 250) % 60) * SERVERS + n}:${port} -m\n`;
  }
  return text;
}

/** Runs ipvsadm in a director. */
class Commands {
  readonly #wires: Wires;
  readonly #director: Director;
  readonly #meter: string;
  readonly #out: string;

  constructor(wires: Wires, director: Director) {
    this.#wires = wires;
    this.#director = director;
    this.#meter = join(wires.runDirectory, "meter.cjs");
    this.#out = join(wires.runDirectory, "printed");
    writeFileSync(this.#meter, METER);
  }

  async run(words: readonly string[], input = ""): Promise<Cost> {
    const program = join(import.meta.dirname, "ipvsadm.cjs");
    const out = openSync(this.#out, "w");
    const from = process.hrtime.bigint();
    const child = spawn(
      "nsenter",
      [
        `--net=${namedNetns(this.#director.name)}`,
        process.execPath,
        `--require=${this.#meter}`,
        program,
        ...words,
      ],
      {
        stdio: ["pipe", out, "pipe"],
        env: {
          ...process.env,
          LVSD_RUN_DIR: this.#wires.runDirectory,
          LVSD_PLANE: "ebpf",
          LVSD_EBPF_CONNECTIONS: String(Math.ceil(CONNECTIONS * 1.1)),
          LVSD_EBPF_DESTINATIONS: "65535",
        },
      },
    );
    let said = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.stdin!.end(input);
    const status = await new Promise((resolve) => child.on("close", resolve));
    const seconds = Number(process.hrtime.bigint() - from) / 1e9;
    closeSync(out);
    const printed = statSync(this.#out).size;
    rmSync(this.#out);
    const used = /used (\d+) (\d+)$/.exec(said);
    const memory = Number(used?.[1] ?? Number.NaN) / 1024;
    const busy = Number(used?.[2] ?? Number.NaN) / 1e6;
    if (status !== 0) throw new Error(`ipvsadm ${words.join(" ")}: ${said}`);
    return { seconds, busy, memory, printed };
  }
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.log("listings: left out: it makes network namespaces, which needs root");
    return;
  }
  const wires = new Wires(compilePackets(join(import.meta.dirname, "../bench/dataplane/packets.bpf.c")));
  try {
    const director = wires.director();
    wires.run(director.name, ["ip", "address", "add", `${VIP}/32`, "dev", "lo"]);
    const commands = new Commands(wires, director);
    const tell = (name: string, { seconds, busy, memory, printed }: Cost): void => {
      const note = `${seconds.toFixed(1)} s by the clock, ${Math.round(memory)} MB, prints ${(printed / 1e6).toFixed(1)} MB`;
      console.log(JSON.stringify({ name, value: busy, unit: "s", note }));
    };
    const size = `${SERVICES.toLocaleString("en-US")} services of ${SERVERS}`;
    tell(`ipvsadm -R, ${size}`, await commands.run(["-R"], rules()));
    const traffic = {
      director,
      entry: "in",
      target: toWords(VIP)[0]!,
      port: 1,
      protocol: "udp",
      flows: CONNECTIONS,
    } as const;
    const { arrived } = wires.send(traffic, CONNECTIONS);
    console.log(`${arrived} connections`);
    for (const words of [["-Ln"], ["-Ln", "--stats"], ["-Ln", "--rate"], ["-Lnc"], ["-Ln", "-u", `${VIP}:1`]])
      tell(`ipvsadm ${words.join(" ")}`, await commands.run(words));
    tell("ipvsadm -S -n", await commands.run(["-S", "-n"]));
    tell(
      "ipvsadm -e, one server",
      await commands.run(["-e", "-u", `${VIP}:1`, "-r", "10.3.0.1:1", "-m", "-w", "2"]),
    );
    tell("ipvsadm -C", await commands.run(["-C"]));
  } finally {
    wires.close();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
