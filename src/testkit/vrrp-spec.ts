/**
 * VRRP specifications with keepalived's defaults, for tests: say only what matters.
 * @module
 */
import type { SyncGroupSpec, VirtualAddressSpec, VrrpInstanceSpec, VrrpSpec } from "../control/vrrp/spec.ts";
import { NO_VRRP } from "../control/vrrp/spec.ts";

const at = { file: "test.conf", line: 1, column: 1 } as const;

/** A virtual address, `192.0.2.100/24` or without prefix. */
export function virtualAddress(text: string, over: Partial<VirtualAddressSpec> = {}): VirtualAddressSpec {
  const [address, prefix] = text.split("/");
  const family = address.includes(":") ? 6 : 4;
  return {
    family,
    address,
    prefix: prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix),
    device: "v0",
    scope: 0,
    flags: [],
    noTrack: false,
    at,
    ...over,
  };
}

/** An instance VI on v0, router id 51, priority 100, version 2, one advert a second, with 192.0.2.100/24. */
export function vrrpInstance(over: Partial<VrrpInstanceSpec> = {}): VrrpInstanceSpec {
  const family = over.family ?? 4;
  const device = over.interface ?? "v0";
  const addresses =
    family === 4
      ? [virtualAddress("192.0.2.100/24", { device })]
      : [virtualAddress("fe80::5:1/64", { device }), virtualAddress("2001:db8::100/64", { device })];
  return {
    name: "VI",
    family,
    initial: "backup",
    interface: device,
    routerId: 51,
    priority: 100,
    version: family === 4 ? 2 : 3,
    advertIntMs: 1000,
    addresses,
    excluded: [],
    routes: [],
    rules: [],
    trackSource: false,
    group: family === 4 ? "224.0.0.18" : "ff02::12",
    peers: [],
    unicastTtl: 255,
    checkUnicastSource: false,
    trackInterfaces: [],
    trackScripts: [],
    trackFiles: [],
    trackProcesses: [],
    dontTrackPrimary: false,
    preempt: true,
    preemptDelayMs: 0,
    accept: true,
    strict: false,
    skipCheckAdvAddr: false,
    announce: {
      delayMs: 5000,
      repeat: 5,
      refreshMs: 0,
      refreshRepeat: 1,
      lowerPrioDelayMs: 5000,
      lowerPrioRepeat: 5,
      arpIntervalMs: 0,
      naIntervalMs: 0,
    },
    downTimerAdverts: 3,
    lowerPrioNoAdvert: false,
    higherPrioSendAdvert: false,
    checksumWithoutPseudoHeader: false,
    promoteSecondaries: false,
    notify: {},
    notifyPriorityChanges: false,
    smtpAlert: false,
    at,
    ...over,
  };
}

/** A sync group of these instances. */
export function syncGroup(
  name: string,
  members: readonly string[],
  over: Partial<SyncGroupSpec> = {},
): SyncGroupSpec {
  return {
    name,
    members,
    trackInterfaces: [],
    trackScripts: [],
    trackFiles: [],
    trackProcesses: [],
    trackingWeight: false,
    notify: {},
    notifyPriorityChanges: false,
    smtpAlert: false,
    at,
    ...over,
  };
}

/** Everything of one router. */
export const vrrpSpec = (instances: readonly VrrpInstanceSpec[], over: Partial<VrrpSpec> = {}): VrrpSpec => ({
  ...NO_VRRP,
  instances,
  ...over,
});
