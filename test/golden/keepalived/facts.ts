/**
 * A wanted state in the words of the .expect files: seconds instead of milliseconds, keepalived's names, defaults left out where
 * the files leave them out.
 */
import type { CheckSpec } from "../../../src/control/checks/check.ts";
import type { VrrpInstanceSpec } from "../../../src/control/vrrp/spec.ts";
import type { CheckEntry, RealServerSpec, VirtualServerSpec, Wanted } from "../../../src/control/wanted.ts";

const METHODS: Record<string, string> = { nat: "NAT", dr: "DR", tun: "TUN" };

type Http = Extract<CheckSpec, { kind: "http" }>;

function httpFacts(spec: Http) {
  return {
    http_protocol: spec.version,
    urls: spec.urls.map((url) => ({
      path: url.path,
      status: url.statusCodes.length
        ? url.statusCodes.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`))
        : ["200-299"],
      ...(url.digest === undefined ? {} : { digest: url.digest }),
    })),
  };
}

function checker({ spec, timing }: CheckEntry) {
  const type = { tcp: "TCP_CHECK", http: "HTTP_GET" }[spec.kind as string];
  const { address, port } = spec.target;
  return {
    type: spec.kind === "http" && spec.tls ? "SSL_GET" : type,
    dest: `[${address}]:${port}`,
    delay_loop: timing.delayLoopMs / 1000,
    retry: timing.retry,
    delay_before_retry: timing.delayBeforeRetryMs / 1000,
    connect_timeout: spec.timeoutMs / 1000,
    ...(spec.kind === "http" ? httpFacts(spec) : {}),
  };
}

function realServer(server: RealServerSpec) {
  return {
    address: server.id.address,
    port: server.id.port,
    weight: server.weight,
    forwarding: METHODS[server.method],
    ...(server.inhibitOnFailure ? { inhibit_on_failure: true } : {}),
    checkers: server.checks.map(checker),
  };
}

function virtualServer(server: VirtualServerSpec) {
  const [id] = server.ids;
  const { service, sorry } = server;
  return {
    ...(id.kind === "fwmark"
      ? { fwmark: id.fwmark, protocol: "none" }
      : { address: id.address, port: id.port, protocol: id.protocol.toUpperCase() }),
    scheduler: service.scheduler,
    ...(server.servers[0].virtualhost === undefined ? {} : { virtualhost: server.servers[0].virtualhost }),
    delay_loop: (server.servers.flatMap(({ checks }) => checks)[0]?.timing.delayLoopMs ?? 60000) / 1000,
    ...(service.persistent ? { persistence_timeout: service.timeoutS } : {}),
    ...(server.servers.every(({ inhibitOnFailure }) => inhibitOnFailure) ? { inhibit_on_failure: true } : {}),
    quorum: server.quorum,
    hysteresis: server.hysteresis,
    ...(sorry === undefined
      ? {}
      : {
          sorry_server: {
            address: sorry.id.address,
            port: sorry.id.port,
            forwarding: METHODS[sorry.method],
            inhibit: sorry.inhibit,
          },
        }),
    real_servers: server.servers.map(realServer),
  };
}

function instance(spec: VrrpInstanceSpec, wanted: Wanted) {
  const group = wanted.vrrp.groups.find(({ members }) => members.includes(spec.name));
  const { announce } = spec;
  return {
    name: spec.name,
    state: spec.initial.toUpperCase(),
    interface: spec.interface,
    vrid: spec.routerId,
    version: spec.version,
    priority: spec.priority,
    advert_int: spec.advertIntMs / 1000,
    ...(group === undefined ? {} : { sync_group: group.name }),
    mcast_group: spec.group,
    garp: {
      delay: announce.delayMs / 1000,
      repeat: announce.repeat,
      refresh: announce.refreshMs / 1000,
      refresh_repeat: announce.refreshRepeat,
      lower_priority_delay: announce.lowerPrioDelayMs / 1000,
      lower_priority_repeat: announce.lowerPrioRepeat,
    },
    down_timer_adverts: spec.downTimerAdverts,
    advert_on_lower: !spec.lowerPrioNoAdvert,
    advert_on_higher: spec.higherPrioSendAdvert,
    accept: spec.accept,
    preempt: spec.preempt,
    auth: spec.auth === undefined ? "none" : spec.auth.type.toUpperCase(),
    ...(spec.auth === undefined ? {} : { auth_pass: spec.auth.password }),
    vips: spec.addresses.map((each) => ({
      address: `${each.address}/${each.prefix}`,
      dev: each.device,
      ...(each.label === undefined ? {} : { label: each.label }),
    })),
  };
}

/** The facts of a configuration. */
export function facts(wanted: Wanted) {
  return {
    virtual_servers: wanted.virtualServers.map(virtualServer),
    vrrp_instances: wanted.vrrp.instances.map((each) => instance(each, wanted)),
    ...(wanted.vrrp.groups.length
      ? { sync_groups: wanted.vrrp.groups.map(({ name, members }) => ({ name, members })) }
      : {}),
  };
}
