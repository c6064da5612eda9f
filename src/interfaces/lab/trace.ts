/**
 * Follows one request through every interface of a lab: a tcpdump at each, and its packets put in the order of time.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Hop, hopsOf, type Place } from "./hops.ts";
import type { Network } from "./network.ts";

/** Milliseconds after the request in which late packets (the goodbye of TCP) still belong to it. */
const AFTERMATH_MS = 250;

/** Every interface to listen at, with its MAC: the NICs, and tunnel devices that exist by now. */
async function places(network: Network): Promise<Place[]> {
  const wanted = [
    ...network.lab.hosts.flatMap((host) => host.nics.map((nic) => ({ on: host.name, device: nic.device }))),
    ...(network.lab.alsoTraced ?? []),
  ];
  const found = await Promise.all(
    wanted.map(async ({ on, device }): Promise<Place | undefined> => {
      const { status, stdout } = await network.shell(on, `cat /sys/class/net/${device}/address`);
      if (status !== 0) return undefined;
      const mac = stdout.trim();
      return {
        host: on,
        device,
        mac: /^(?!00:00:00:00:00:00)([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? mac : undefined,
      };
    }),
  );
  return found.filter((place) => place !== undefined);
}

interface Capture {
  readonly place: Place;
  readonly child: ChildProcess;
  readonly chunks: Buffer[];
}

/** Starts a capture and resolves when it listens. */
async function capture(network: Network, place: Place): Promise<Capture> {
  const options = ["-i", place.device, "-U", "-s", "0", "--immediate-mode", "--time-stamp-precision=nano"];
  const child = network.spawn(place.host, ["tcpdump", ...options, "-w", "-"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  child.stdout!.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    let told = "";
    child.stderr!.on("data", (chunk) => {
      told += chunk;
      if (told.includes("listening on")) resolve();
    });
    child.once("exit", () => reject(new Error(`tcpdump on ${place.host} ${place.device}: ${told.trim()}`)));
    child.once("error", reject);
  });
  return { place, child, chunks };
}

/** Runs `action` while every interface of the lab is listened at. */
export async function traced<T>(
  network: Network,
  action: () => Promise<T>,
): Promise<{ result: T; hops: Hop[] }> {
  const started = await Promise.allSettled((await places(network)).map((place) => capture(network, place)));
  const captures = started.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  try {
    for (const outcome of started) if (outcome.status === "rejected") throw outcome.reason;
    const result = await action();
    await sleep(AFTERMATH_MS);
    return { result, hops: await collect(captures) };
  } finally {
    for (const { child } of captures) child.kill("SIGTERM");
  }
}

async function collect(captures: readonly Capture[]): Promise<Hop[]> {
  const files = captures.map(async ({ place, child, chunks }) => {
    const closed = once(child, "close");
    child.kill("SIGINT");
    await closed;
    return hopsOf(place, Buffer.concat(chunks));
  });
  return (await Promise.all(files)).flat();
}
