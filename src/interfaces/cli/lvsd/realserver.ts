/**
 * `lvsd realserver`: what a host needs to be a real server, as one word.
 * @module
 */
import { isIP } from "node:net";
import type { TunnelType } from "../../../control/realserver/tunnel-end.ts";

const tell = (command: string): void => void process.stdout.write(`  ${command}\n`);

function check(vip: string): void {
  if (isIP(vip) === 0)
    throw new Error(`"${vip}" is no IP address; expected is a VIP such as 192.0.2.80 or 2001:db8::80`);
  if (process.getuid!() !== 0) throw new Error("addresses and sysctls of this host are changed only by root");
}

/** Direct routing. */
export async function dr(vip: string, options: { undo?: true }): Promise<number> {
  check(vip);
  const { setUpSilentVip, undoSilentVip } = await import("../../../control/realserver/silent-vip.ts");
  await (options.undo ? undoSilentVip(vip, tell) : setUpSilentVip(vip, tell));
  return 0;
}

/** Tunnels. */
export async function tun(
  vip: string,
  options: { undo?: true; type: TunnelType; guePort: number },
): Promise<number> {
  check(vip);
  const { setUpTunnelEnd, undoTunnelEnd } = await import("../../../control/realserver/tunnel-end.ts");
  const end = { vip, type: options.type, guePort: options.guePort };
  await (options.undo ? undoTunnelEnd(vip, tell) : setUpTunnelEnd(end, tell));
  return 0;
}
