/** The example files whose facts Debian's keepalived reported: each is run as it stands, and the table holds what keepalived put there. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { Running } from "./daemon-bed.ts";

const root = process.getuid?.() === 0;
const folder = new URL("../golden/keepalived/", import.meta.url).pathname;
const namespace = `lv${process.pid}gold`;
const bin = join(process.cwd(), "dist/bin");

/** What of an .expect file is compared. */
interface Facts {
  readonly virtual_servers?: readonly {
    readonly address?: string;
    readonly port?: number;
    readonly protocol?: string;
    readonly fwmark?: number;
    readonly scheduler: string;
    readonly real_servers: readonly {
      readonly address: string;
      readonly port: number;
      readonly weight: number;
      readonly forwarding: string;
    }[];
  }[];
  readonly vrrp_instances?: readonly { readonly name: string; readonly priority: number }[];
}

const METHOD: Readonly<Record<string, string>> = { NAT: "-m", DR: "-g", TUN: "-i" };

/** The lines of `ipvsadm -Sn` that name a real server. */
function serverLines(facts: Facts): string[] {
  return (facts.virtual_servers ?? []).flatMap((service) => {
    const flag = service.protocol === "UDP" ? "-u" : "-t";
    const id =
      service.fwmark === undefined ? `${flag} ${service.address}:${service.port}` : `-f ${service.fwmark}`;
    return service.real_servers.map(
      (server) =>
        `-a ${id} -r ${server.address}:${server.port} ${METHOD[server.forwarding]} -w ${server.weight}`,
    );
  });
}

describe.skipIf(!root)("keepalived runs the example", () => {
  const scratch = mkdtempSync(join(tmpdir(), "lvsd-golden-"));
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: "",
    LVSD_RUN_DIR: scratch,
    LVSD_PLANE: "engine",
    PATH: `${bin}:${process.env["PATH"]}`,
  };
  const ip = (line: string) => execFileSync("ip", line.split(" "), { stdio: "pipe" });
  const run = (...words: string[]): string =>
    execFileSync("ip", ["netns", "exec", namespace, ...words], { env, encoding: "utf8" });
  let daemon: Running | undefined;

  beforeAll(() => {
    ip(`netns add ${namespace}`);
    ip(`-n ${namespace} link set lo up`);
    for (const i of [0, 1, 2]) {
      ip(`-n ${namespace} link add eth${i} type veth peer name eth${i}p`);
      ip(`-n ${namespace} addr add 10.0.${i}.11/24 dev eth${i}`);
      ip(`-n ${namespace} link set eth${i} up`);
      ip(`-n ${namespace} link set eth${i}p up`);
    }
    ip(`-n ${namespace} addr add fd00:0:0:1::11/64 dev eth0 nodad`);
  });
  afterAll(async () => {
    await daemon?.kill();
    try {
      run("lvsd", "engine", "stop");
    } finally {
      ip(`netns del ${namespace}`);
      rmSync(scratch, { recursive: true, force: true });
    }
  });

  afterEach(() => daemon?.kill());

  for (const name of readdirSync(folder).filter((file) => file.endsWith(".conf"))) {
    test(name, async () => {
      const facts = JSON.parse(readFileSync(join(folder, name.replace(".conf", ".expect")), "utf8")) as Facts;
      const pids = ["-p", join(scratch, "p"), "-c", join(scratch, "c"), "-r", join(scratch, "r")];
      const words = ["netns", "exec", namespace, "keepalived", "-nlG", "-f", join(folder, name), ...pids];
      daemon = new Running(spawn("ip", words, { env, stdio: ["ignore", "pipe", "pipe"] }));
      await daemon.says("Startup complete");
      // Nobody answers behind these addresses, but servers are in service first; the first check comes a second later at the
      // earliest, which on a busy machine may be now.
      const table = run("ipvsadm", "-Sn").split("\n");
      const status = JSON.parse(run("lvsd", "status", "--json")) as DaemonStatus;
      const failed = status.lvs?.virtualServers.flatMap((s) => s.servers).filter(({ up }) => !up) ?? [];
      const inService = (line: string): boolean =>
        !failed.some(({ id }) => line.includes(`-r ${id.address}:${id.port} `));
      expect(table.filter((line) => line.startsWith("-a") && inService(line)).sort()).toEqual(
        serverLines(facts).filter(inService).sort(),
      );
      for (const { scheduler } of facts.virtual_servers ?? [])
        expect(table.some((line) => line.startsWith("-A") && line.includes(`-s ${scheduler}`))).toBe(true);
      const { vrrp } = status;
      expect(vrrp?.instances.map((i) => [i.name, i.basePriority]) ?? []).toEqual(
        (facts.vrrp_instances ?? []).map((i) => [i.name, i.priority]),
      );
      expect(await daemon.kill("SIGTERM")).toBe(0);
      expect(run("ipvsadm", "-Sn")).toBe("");
    });
  }
});
