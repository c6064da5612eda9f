/**
 * Runs in the virtual machine, started by `vrrp-vmac.test.ts`, because it needs a kernel with macvlan: routers with a virtual hardware address,
 * lvsd's against Debian's keepalived.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { vrrpInstance } from "../../src/testkit/vrrp-spec.ts";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** Folder of the built commands. */
  readonly dist: string;
}

/** What was seen in one case. */
export interface Told {
  readonly name: string;
  readonly trouble?: string;
  /** Hardware addresses: of the interface, of the adverts, of the announcements, and what the other host learnt. */
  readonly mac?: string;
  readonly advertsFrom?: readonly string[];
  readonly announcedFrom?: readonly string[];
  readonly learnt?: string;
  readonly answers?: boolean;
  /** The interface is gone after the end, and the other router has the addresses. */
  readonly gone?: boolean;
  readonly takenOver?: boolean;
}

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;
process.env["LVSD_VRRP"] = join(task.dist, "lvsd-vrrp.cjs");

async function play(name: string, over: object, address: string, device: string): Promise<Told> {
  const { Bed, pause, until } = await import("../e2e/vrrp-bed.ts");
  const bed = await Bed.make();
  try {
    const dump = spawn("ip", [
      "netns",
      "exec",
      bed.b,
      "tcpdump",
      "-e",
      "-n",
      "-l",
      "-i",
      "v0",
      "proto 112 or arp or icmp6",
    ]);
    let seen = "";
    dump.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await new Promise((resolve) => dump.stderr.once("data", resolve));
    const k = bed.keepalived(bed.b, [vrrpInstance({ priority: 100, ...over })]);
    const l = bed.lvsd(bed.a, [vrrpInstance({ priority: 150, ...over })]);
    await until("we are master", () => l.state() === "master", 60_000);
    await until("the address is there", () => bed.has(bed.a, address, device), 60_000);
    const mac = (await bed.in(bed.a, "cat", `/sys/class/net/${device}/address`)).trim();
    const answers = await bed.in(bed.b, "timeout", "5", "bash", "-c", `</dev/tcp/${address}/9`).then(
      () => true,
      (error: { code: number }) => error.code !== 124,
    );
    await pause(2000);
    const learnt = /lladdr (\S+)/.exec(await bed.in(bed.b, "ip", "neigh", "show", address))?.[1] ?? "";
    const from = (pattern: RegExp) => [
      ...new Set(
        seen
          .split("\n")
          .filter((line) => pattern.test(line))
          .map((line) => line.split(" ")[1]),
      ),
    ];
    const told = {
      name,
      mac,
      advertsFrom: from(/prio 150/),
      announcedFrom: from(
        address.includes(":")
          ? /neighbor advertisement.*ff02::1|ff02::1: .*neighbor advertisement, tgt is 2001:db8::100/
          : /who-has 192\.0\.2\.100 .*tell 192\.0\.2\.100/,
      ),
      learnt,
      answers,
    };
    await l.stop();
    const gone = await bed.in(bed.a, "ip", "link").then((text) => !text.includes(device));
    await until("keepalived takes over", () => k.state() === "master", 60_000);
    dump.kill("SIGINT");
    return { ...told, gone, takenOver: true };
  } catch (error) {
    return { name, trouble: String(error) };
  } finally {
    await bed.remove();
  }
}

for (const told of await Promise.all([
  play("IPv4", { vmac: { xmitBase: false } }, "192.0.2.100", "vrrp.51"),
  play("adverts from the base interface", { vmac: { xmitBase: true } }, "192.0.2.100", "vrrp.51"),
  play("IPv6", { family: 6, vmac: { xmitBase: false } }, "2001:db8::100", "vrrp6.51"),
]))
  console.log(`@@ ${JSON.stringify(told)}`);
console.log("@@ done");
process.exit(0);
