/**
 * Keywords of `global_defs` that are accepted and have no effect here, each with the reason.
 * @module
 */
import type { Keyword } from "./keyword.ts";

const MANY = Number.POSITIVE_INFINITY;

/** Keywords with one reason. */
function because(reason: string, words: string, foreign?: true): [string, Keyword<unknown>][] {
  return words
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => [word, { without: reason, most: MANY, ...(foreign ? { foreign } : {}) }]);
}

const processes = (suffixes: string) =>
  ["checker", "vrrp", "bfd"]
    .flatMap((name) => suffixes.split(" ").map((suffix) => `${name}_${suffix}`))
    .join(" ");

/** Accepted words of global_defs. */
export const GLOBAL_WITHOUT: Readonly<Record<string, Keyword<unknown>>> = Object.fromEntries([
  ...because(
    "the operating system's own means set it: systemd's CPUSchedulingPolicy, LimitRTTIME, CPUAffinity",
    `${processes("no_swap rlimit_rttime rlimit_rtime cpu_affinity")} checker_priority bfd_priority checker_rt_priority bfd_rt_priority
    max_auto_priority min_auto_priority_delay`,
  ),
  ...because(
    "socket buffers grow by themselves",
    `
    lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force
    vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs
    vrrp_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs process_monitor_rcv_bufs_force vrrp_rx_bufs_policy
    vrrp_rx_bufs_multiplier`,
  ),
  ...because(
    "groups become one service an address, without netfilter rules",
    `
    nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark`,
  ),
  ...because(
    "packets to a VIP that is not accepted are dropped without tables of these names",
    `
    vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_counters nftables_ifindex`,
  ),
  ...because(
    "there is no SNMP here; metrics say the same",
    `
    snmp_socket enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3
    enable_snmp_keepalived enable_traps`,
  ),
  ...because("there is no DBus here; the control socket says the same", "enable_dbus dbus_service_name"),
  ...because("every reload is checked before it is applied", "reload_check_config"),
  ...because("use a systemd timer that calls lvsd reload", "reload_time_file reload_repeat reload_file"),
  ...because(
    "processes keep their names",
    `
    process_names process_name vrrp_process_name checker_process_name bfd_process_name`,
  ),
  ...because("files are made with the modes they need", "umask"),
  ...because("missing includes are told anyway; use includea to make them fatal", "include_check"),
  ...because(
    "dumps go to the place that is asked for",
    `
    config_save_dir tmp_config_directory data_use_instance`,
  ),
  ...because("a seed is only for tests of keepalived", "random_seed"),
  ...because("the states are asked over the control socket", "fifo_write_vrrp_states_on_reload"),
  ...because("group membership is the kernel's", "disable_local_igmp"),
  ...because("virtual MAC interfaces are named vrrp.ID", "vmac_prefix vmac_addr_prefix"),
  ...because(
    "it is a word of newer keepaliveds for its own files and processes",
    `
    json_dump_file json_version state_dump_file stats_dump_file vrrp_owner_ignore_adverts vrrp_delay_after_boot
    use_symlink_paths set_supplementary_groups iproute_usr_dir iproute_etc_dir`,
    true,
  ),
]);
