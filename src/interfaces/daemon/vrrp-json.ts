/**
 * The state of VRRP as keepalived 2.2.7 writes it to `keepalived.json`, which its exporters read: the same names in the same order.
 * @module
 */
import type { VrrpInstanceStatus, VrrpStats } from "../../control/vrrp/messages.ts";
import type { VirtualAddressSpec, VrrpInstanceSpec } from "../../control/vrrp/spec.ts";

/** keepalived's numbers for states (`vrrp.h`). */
const STATE_NUMBER = { init: 0, backup: 1, master: 2, fault: 3, stop: 98 } as const;
const AUTH_NUMBER = { none: 0, pass: 1, ah: 2 } as const;
/** Names of scopes that have one (`include/uapi/linux/rtnetlink.h`). */
const SCOPE: Readonly<Record<number, string>> = {
  0: "global",
  200: "site",
  253: "link",
  254: "host",
  255: "nowhere",
};

const number = (flag: boolean | undefined): number => (flag ? 1 : 0);

/** `10.0.0.100/24 dev eth0 scope global label eth0:1 set`. */
function addressText(spec: VirtualAddressSpec, set: boolean): string {
  const whole = spec.family === 4 ? 32 : 128;
  return [
    spec.prefix === whole ? spec.address : `${spec.address}/${spec.prefix}`,
    `dev ${spec.device}`,
    `scope ${SCOPE[spec.scope] ?? spec.scope}`,
    ...(spec.label ? [`label ${spec.label}`] : []),
    ...(set ? ["set"] : []),
  ].join(" ");
}

function dataOf(spec: VrrpInstanceSpec, status: VrrpInstanceStatus) {
  const set = status.state === "master";
  const seconds = (ms: number): number => ms / 1000;
  const { announce } = spec;
  const addresses = (list: readonly VirtualAddressSpec[]): string[] => list.map((a) => addressText(a, set));
  return {
    iname: spec.name,
    dont_track_primary: number(spec.dontTrackPrimary),
    skip_check_adv_addr: number(spec.skipCheckAdvAddr),
    strict_mode: number(spec.strict),
    vmac_ifname: spec.vmac?.name ?? "",
    ifp_ifname: spec.interface,
    master_priority: set ? 0 : (status.masterPriority ?? 0),
    last_transition: seconds(status.sinceMs),
    garp_delay: seconds(announce.delayMs),
    garp_refresh: seconds(announce.refreshMs),
    garp_rep: announce.repeat,
    garp_refresh_rep: announce.refreshRepeat,
    garp_lower_prio_delay: seconds(announce.lowerPrioDelayMs),
    garp_lower_prio_rep: announce.lowerPrioRepeat,
    lower_prio_no_advert: number(spec.lowerPrioNoAdvert),
    higher_prio_send_advert: number(spec.higherPrioSendAdvert),
    vrid: spec.routerId,
    base_priority: status.basePriority,
    effective_priority: status.priority,
    vipset: set,
    promote_secondaries: spec.promoteSecondaries,
    adver_int: seconds(spec.advertIntMs),
    master_adver_int: seconds(status.advertIntMs),
    accept: number(spec.accept),
    nopreempt: !spec.preempt,
    preempt_delay: seconds(spec.preemptDelayMs),
    state: STATE_NUMBER[status.state],
    wantstate: STATE_NUMBER[status.state === "init" ? spec.initial : status.state],
    version: spec.version,
    smtp_alert: spec.smtpAlert,
    notify_deleted: spec.notify.deleted !== undefined,
    vips: addresses(spec.addresses),
    evips: addresses(spec.excluded),
    ...(spec.version === 2 && { auth_type: AUTH_NUMBER[spec.auth?.type ?? "none"] }),
  };
}

const statsOf = (s: VrrpStats) => ({
  advert_rcvd: s.advertsReceived,
  advert_sent: s.advertsSent,
  become_master: s.becameMaster,
  release_master: s.releasedMaster,
  packet_len_err: s.lengthErrors,
  advert_interval_err: s.intervalErrors,
  ip_ttl_err: s.ttlErrors,
  invalid_type_rcvd: s.invalidTypes,
  addr_list_err: s.addressListErrors,
  invalid_authtype: s.invalidAuthTypes,
  authtype_mismatch: s.authTypeMismatches,
  auth_failure: s.authFailures,
  pri_zero_rcvd: s.priorityZeroReceived,
  pri_zero_sent: s.priorityZeroSent,
});

/** The text of the file. */
export function vrrpJson(
  specs: readonly VrrpInstanceSpec[],
  statuses: readonly VrrpInstanceStatus[],
  stats: readonly VrrpStats[],
): string {
  const list = specs.flatMap((spec) => {
    const status = statuses.find(({ name }) => name === spec.name);
    const counted = stats.find(({ name }) => name === spec.name);
    return status && counted ? [{ data: dataOf(spec, status), stats: statsOf(counted) }] : [];
  });
  return `${JSON.stringify(list)}\n`;
}
