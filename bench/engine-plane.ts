/**
 * The engine plane with real packets: NAT through the director against plain forwarding by the same kernel on the same path,
 * in turns, in one run. Medians of three rounds.
 *
 *     npm run bench -- engine-plane
 */
import { execFileSync } from "node:child_process";
import { EngineNetwork } from "../test/e2e/engine-network.ts";

const ROUNDS = 3;
const DOWNLOADS = 12;
const MIB = 8;
const WRK_SECONDS = 2;

const median = (list: number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1]!;
const report = (name: string, value: number, unit: string, note?: string): void => {
  console.log(JSON.stringify({ name, value: Math.round(value), unit, ...(note && { note }) }));
};

function installed(command: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function mibPerSecond(net: EngineNetwork, host: string): Promise<number> {
  const began = performance.now();
  const urls = Array.from({ length: DOWNLOADS }, () => ["-o", "/dev/null", `http://${host}/big`]).flat();
  await net.run("client", "curl", "-sS", "-m", "60", ...urls);
  return (DOWNLOADS * MIB * 1000) / (performance.now() - began);
}

async function requestsPerSecond(net: EngineNetwork, host: string): Promise<number> {
  const options = ["-t1", "-c32", `-d${WRK_SECONDS}s`, "-H", "Connection: close"];
  const output = await net.run("client", "wrk", ...options, `http://${host}/`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1] ?? 0);
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.log("engine-plane: needs root");
    return;
  }
  const net = new EngineNetwork("n");
  try {
    await net.up();
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    await net.ipvsadm("-A -t 10.1.0.100:80 -s rr");
    await net.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m");
    // The peer: the same server by an address that the director merely forwards to.
    net.ip("server2", "addr add 10.3.0.1/32 dev lo");
    net.ip("director", "route add 10.3.0.1/32 via 10.2.0.12");
    net.ip("client", "route add 10.3.0.1/32 via 10.1.0.1");
    // Every request is a connection of its own: without this the client's ports run out.
    await net.run(
      "client",
      "sysctl",
      "-qw",
      "net.ipv4.ip_local_port_range=1024 65535",
      "net.ipv4.tcp_tw_reuse=1",
    );
    const hosts = { "NAT by the engine": "10.1.0.100", "plain forwarding": "10.3.0.1:8080" };
    const measures = [
      { name: "download", unit: "MiB/s", measure: mibPerSecond },
      ...(installed("wrk")
        ? [{ name: "requests, a connection each", unit: "/s", measure: requestsPerSecond }]
        : []),
    ];
    for (const { name, unit, measure } of measures) {
      const results = new Map(Object.keys(hosts).map((who) => [who, [] as number[]]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const [who, host] of Object.entries(hosts)) results.get(who)!.push(await measure(net, host));
      }
      const plain = median(results.get("plain forwarding")!);
      for (const [who, list] of results) {
        const share = `${Math.round((100 * median(list)) / plain)} % of plain forwarding`;
        report(`${name}, ${who}`, median(list), unit, median(list) === plain ? undefined : share);
      }
    }
  } finally {
    await net.down();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
