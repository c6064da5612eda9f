/**
 * A real server of a DR service: the VIP on lo, and no ARP for it.
 * @module
 */
import { alone } from "./alone.ts";
import { hasAddress, hostPrefix, run, type Tell } from "./machine.ts";
import { releaseSwitches, type Switches, setSwitches } from "./switches.ts";

/**
 * How devices ("all" is one here) must treat ARP for addresses of others (Documentation/networking/ip-sysctl.rst): answer only for
 * addresses on the device that was asked, and announce only addresses of the device.
 */
export const silentArp = (devices: readonly string[]): Switches =>
  Object.fromEntries(
    devices.flatMap((device) => [
      [`net.ipv4.conf.${device}.arp_ignore`, 1],
      [`net.ipv4.conf.${device}.arp_announce`, 2],
    ]),
  );

/** Prepares this host. IPv6 has no ARP, but the address must not be defended, so duplicate detection is left out. */
export const setUpSilentVip = (vip: string, tell: Tell): Promise<void> => alone(() => setUp(vip, tell));

async function setUp(vip: string, tell: Tell): Promise<void> {
  const v6 = vip.includes(":");
  if (!v6) await setSwitches(`dr ${vip}`, silentArp(["all", "lo"]), tell);
  if (await hasAddress("lo", vip)) return;
  await run(tell, "ip", "addr", "add", hostPrefix(vip), "dev", "lo", ...(v6 ? ["nodad"] : []));
}

/** Takes the VIP away; the ARP switches are what they were when no other VIP needs them. */
export const undoSilentVip = (vip: string, tell: Tell): Promise<void> => alone(() => undo(vip, tell));

async function undo(vip: string, tell: Tell): Promise<void> {
  if (await hasAddress("lo", vip)) await run(tell, "ip", "addr", "del", hostPrefix(vip), "dev", "lo");
  await releaseSwitches(`dr ${vip}`, tell);
}
