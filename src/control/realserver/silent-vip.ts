/**
 * A real server of a DR service: the VIP on lo, and no ARP for it.
 * @module
 */
import { hasAddress, hostPrefix, run, type Tell } from "./machine.ts";

/**
 * How a device must treat ARP for addresses of others (Documentation/networking/ip-sysctl.rst): answer only for addresses on
 * the device that was asked, and announce only addresses of the device.
 */
const ARP = { arp_ignore: 1, arp_announce: 2 } as const;
const ARP_DEFAULT = { arp_ignore: 0, arp_announce: 0 } as const;

/** Sets both ARP switches for some devices ("all" is a device here). */
export async function setArp(
  devices: readonly string[],
  values: Readonly<Record<string, number>>,
  tell: Tell,
) {
  const settings = devices.flatMap((device) =>
    Object.entries(values).map(([name, value]) => `net.ipv4.conf.${device}.${name}=${value}`),
  );
  await run(tell, "sysctl", "-qw", ...settings);
}

/** Prepares this host. IPv6 has no ARP, but the address must not be defended, so duplicate detection is left out. */
export async function setUpSilentVip(vip: string, tell: Tell): Promise<void> {
  const v6 = vip.includes(":");
  if (!v6) await setArp(["all", "lo"], ARP, tell);
  if (await hasAddress("lo", vip)) return;
  await run(tell, "ip", "addr", "add", hostPrefix(vip), "dev", "lo", ...(v6 ? ["nodad"] : []));
}

/** Takes the VIP away; the ARP switches go back to the kernel's defaults when no other VIP is left on lo. */
export async function undoSilentVip(vip: string, tell: Tell): Promise<void> {
  if (await hasAddress("lo", vip)) await run(tell, "ip", "addr", "del", hostPrefix(vip), "dev", "lo");
  const left = await run(() => {}, "ip", "-4", "-o", "addr", "show", "dev", "lo", "scope", "global");
  if (!vip.includes(":") && left.trim() === "") await setArp(["all", "lo"], ARP_DEFAULT, tell);
}
