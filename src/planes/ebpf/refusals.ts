/**
 * What the BPF programs cannot do, and how that is refused: with an error that names the planes that can. `lvsd planes` and
 * docs/ebpf.md tell the same list.
 * @module
 */
import type { DestinationSpec } from "../../core/destination.ts";
import { UnsupportedError } from "../../core/errors.ts";
import { type ServiceSpec, serviceKey } from "../../core/service.ts";

/** Numbers of services, or of destinations, go up to the maps' size. @throws UnsupportedError */
export function checkRoom(
  kind: "services" | "destinations",
  number: number,
  entries: number,
  who: string,
): void {
  if (number < entries) return;
  const [things, variable] =
    kind === "services" ? ["services", "LVSD_EBPF_SERVICES"] : ["real servers", "LVSD_EBPF_DESTINATIONS"];
  const most = `${variable}=… (up to 65536)`;
  throw new UnsupportedError(
    `${who}: no memory: the eBPF plane has room for ${entries - 1} ${things} here, removed ones with connections included; ${most} gives more after "lvsd planes reset", and the engine and the kernel plane have no such limit`,
  );
}

/** The same refusal with the way to a plane that can; one that names a variable of this plane says what to do already. */
export function withWayOut({ message }: UnsupportedError, noRules: boolean): UnsupportedError {
  if (message.includes("LVSD_")) return new UnsupportedError(message);
  const way = noRules
    ? "give the first command here LVSD_PLANE=engine, and all use the engine plane"
    : "to change over: ipvsadm-save -n > rules; ipvsadm -C; LVSD_PLANE=engine ipvsadm-restore < rules (or start the daemon anew with LVSD_PLANE=engine)";
  return new UnsupportedError(`${message}; ${way}`);
}

/** Name of a destination of a service in messages. */
export const nameOf = (service: ServiceSpec["id"], { address, port }: DestinationSpec): string =>
  `${serviceKey(service)} → ${address}:${port}`;

/** What is refused, one sentence each. */
export const REFUSALS: readonly string[] = [
  "refused: drop_entry, drop_packet and secure_tcp 1 or 2 where the kernel does not tell its free memory (CONFIG_KALLSYMS_ALL=y does); 0 and 3 work, the engine and the kernel plane have all",
  "refused: more services and real servers than LVSD_EBPF_SERVICES and LVSD_EBPF_DESTINATIONS say; the engine and the kernel plane have no limit",
  "refused: services of a family whose net.*.conf.lo.forwarding is 0 and cannot be set, as in a container; the engine does without",
  "refused: conntrack=1, since packets that are balanced do not pass netfilter and its connection tracking; the engine and the kernel plane have it",
];

/** What is done in another way than by ip_vs, one sentence each. */
export const DEVIATIONS: readonly string[] = [
  "otherwise than ip_vs: rules of iptables and nftables on this host do not hold for what is balanced, but for the first packet of connections by firewall mark",
  "otherwise than ip_vs: fragments are not joined but follow the first one; one that overtakes it goes to the stack, and of a SIP message in fragments only the first is read",
  "otherwise than ip_vs: what is too long for its way and may be fragmented is dropped by DR and by tunnels over IPv6, and the client told; an IPv4 datagram in fragments does not begin a connection of a service by mark",
  "otherwise than ip_vs: a VIP is served also while it is no address of this host, and an address wins over a firewall mark",
  "otherwise than ip_vs: lblc and lblcr forget, lblcr keeps 32 servers an address",
  "otherwise than ip_vs: marks of netfilter do not count for the routes of replies, and replies of NAT from a server on this host keep the route of its address",
  "otherwise than ip_vs: answers to calls of two servers between the same two ports (--pe sip without -o) go to the one that sent last; a wrong CRC of SCTP stays wrong by NAT",
  "otherwise than ip_vs: a full connection table drops new connections, and ipvsadm -C ends those there are",
];
