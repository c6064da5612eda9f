/**
 * From virtual servers as written to those that run: defaults, inheritance, and what can only be checked when all is read.
 * @module
 */
import { IPIP } from "../../../core/destination.ts";
import { fullMask, type ServiceId } from "../../../core/service.ts";
import { parse4 } from "../../../wire/address.ts";
import type { RealServerSpec, SorryServerSpec, VirtualServerSpec } from "../../wanted.ts";
import { type CheckSurroundings, checksOf } from "./checks-of.ts";
import type { More, Reader } from "./reader.ts";
import type { Forwarding, GroupDraft, RealServerDraft, VirtualServerDraft } from "./server-draft.ts";
import { placeOf, type Word } from "./text.ts";
import { PERSISTENCE_DEFAULT_S } from "./virtual-servers.ts";

/** What virtual servers take from the rest of the file. */
export interface ServerSurroundings extends CheckSurroundings {
  readonly groups: ReadonlyMap<string, GroupDraft>;
  /** Defaults of smtp_alert; undefined: keepalived's own. */
  readonly smtpAlert: boolean | undefined;
  /** Whether mail can be sent at all. */
  readonly mail: boolean;
}

const NAT: Forwarding = { method: "nat", tunnel: IPIP };

/** keepalived's remark without a line. */
const remark = (own: string, remedy?: string): More => ({
  own,
  ownWithoutLine: true,
  ...(remedy === undefined ? {} : { remedy }),
});

/** The mask of persistence_granularity; undefined, with a message, when it is none. */
function netmask(word: Word, family: 4 | 6, reader: Reader): number | undefined {
  const { text } = word;
  const number = /^\d+$/.test(text) ? Number(text) : undefined;
  if (family === 6) {
    if (number !== undefined && number >= 1 && number <= 128) return number;
    reader.error("bad-number", word, `persistence_granularity "${text}" is outside of 1..128`, {
      own: "Invalid IPv6 persistence_granularity specified - %s",
    });
    return undefined;
  }
  if (number !== undefined && number >= 1 && number <= 32) return (0xffffffff << (32 - number)) >>> 0;
  const mask = parse4(text);
  // A mask is ones, then zeros: its complement is one less than a power of two.
  const zeros = mask === undefined ? 0 : ~mask >>> 0;
  if (mask !== undefined && mask !== 0 && (zeros & (zeros + 1)) === 0) return mask;
  reader.error("bad-value", word, `persistence_granularity "${text}" is no netmask`, {
    remedy: "write a mask like 255.255.255.0, or a prefix length 1..32",
    // compat: keepalived takes whatever inet_aton(3) can read.
    ...(/^\d+(\.\d+){0,3}$/.test(text) ? {} : { own: "Invalid IPv4 persistence_granularity specified - %s" }),
  });
  return undefined;
}

/** One virtual server being finished. */
class Finishing {
  readonly draft: VirtualServerDraft;
  readonly around: ServerSurroundings;
  readonly reader: Reader;
  readonly group: GroupDraft | undefined;
  readonly groupUse: number;

  constructor(draft: VirtualServerDraft, around: ServerSurroundings, groupUse: number, reader: Reader) {
    this.draft = draft;
    this.around = around;
    this.reader = reader;
    this.groupUse = groupUse;
    const { door } = draft;
    this.group = door.kind === "group" ? around.groups.get(door.group.text) : undefined;
  }

  name(): string {
    const { door, protocol } = this.draft;
    if (door.kind === "fwmark") return `FWM ${door.fwmark}`;
    if (door.kind === "group") return `[${door.group.text}]:${this.groupUse}`;
    return `[${door.address.address}]:${protocol ?? "none"}:${door.port}`;
  }

  #warn(code: string, message: string, more: More, word = this.draft.word): void {
    this.reader.warn(code, word, message, more);
  }

  finish(): VirtualServerSpec | undefined {
    const { draft } = this;
    const family = this.#family();
    if (family === undefined) return undefined;
    const servers = this.#serversOfFamily(family);
    if (servers.length === 0) {
      this.reader.error(
        "no-real-servers",
        draft.word,
        `virtual server ${this.name()} has no real server; it is left out`,
        remark(`Virtual server ${this.name()} has no real servers - ignoring`, "add a real_server block"),
      );
      return undefined;
    }
    this.#protocol();
    this.#persistence();
    this.#defaults();
    this.#withoutEffect();
    const unique = this.#unique(servers);
    const { quorum, hysteresis } = this.#quorum(unique);
    const ports = new Map(
      unique.map((server) => [
        server,
        this.#port(server.port, this.#forwarding(server), server.word, server),
      ]),
    );
    const sorry = this.#sorry(family);
    const ids = this.#ids(family);
    if (ids === undefined) return undefined;
    const mask = draft.granularity && netmask(draft.granularity, family, this.reader);
    const timeoutS = draft.persistenceS ?? (mask === undefined ? 0 : PERSISTENCE_DEFAULT_S);
    const { around } = this;
    return {
      name: this.name(),
      ids,
      service: {
        scheduler: draft.scheduler ?? "wlc",
        schedFlags: draft.schedFlags,
        persistent: timeoutS > 0,
        timeoutS,
        netmask: mask ?? fullMask(family),
        engine: draft.engine ?? "",
        onePacket: draft.onePacket ?? false,
      },
      servers: unique.map((server) => this.#server(server, ports.get(server) ?? server.port)),
      ...(sorry === undefined ? {} : { sorry }),
      quorum,
      hysteresis,
      ...(draft.quorumUp === undefined ? {} : { quorumUp: draft.quorumUp }),
      ...(draft.quorumDown === undefined ? {} : { quorumDown: draft.quorumDown }),
      omega: draft.omega ?? false,
      haSuspend: this.#haSuspend(),
      keepOnStop: false,
      smtpAlert: draft.smtpAlert ?? around.smtpAlert ?? false,
      at: placeOf(draft.word),
    };
  }

  /** The family of the service; undefined, with a message, when there is no telling. */
  #family(): 4 | 6 | undefined {
    const { door, servers } = this.draft;
    if (door.kind === "address") return door.address.family;
    const byServers = servers[0]?.address.family ?? 4;
    if (door.kind === "fwmark") {
      const tunnels = servers.some((server) => this.#forwarding(server).method === "tun");
      return (tunnels ? this.draft.family : undefined) ?? byServers;
    }
    if (this.group === undefined || this.group.entries.length === 0) {
      const { text } = door.group;
      const why =
        this.group === undefined ? "there is no virtual_server_group" : "nothing is in virtual_server_group";
      this.reader.error("undefined-reference", door.group, `${why} ${text}; the virtual server is left out`, {
        remedy: `define virtual_server_group ${text} { IP PORT }`,
      });
      return undefined;
    }
    const families = new Set(
      this.group.entries.flatMap((each) =>
        each.kind === "address" ? [each.addresses[0].family] : each.family ? [each.family] : [],
      ),
    );
    if (families.size > 1) {
      this.reader.error("family-mismatch", door.group, `group ${door.group.text} mixes IPv4 and IPv6`, {
        remedy: "make one group, and one virtual_server, for each",
      });
      return undefined;
    }
    return [...families][0] ?? byServers;
  }

  #forwarding(server: RealServerDraft): Forwarding {
    return server.forwarding ?? this.draft.forwarding ?? NAT;
  }

  #serversOfFamily(family: 4 | 6): RealServerDraft[] {
    return this.draft.servers.filter((server) => {
      if (server.address.family === family || this.#forwarding(server).method === "tun") return true;
      const { address } = server.address;
      this.reader.error(
        "family-mismatch",
        server.word,
        `${address} is IPv${server.address.family}, the virtual server is IPv${family}; it is left out`,
        {
          remedy: "only tunnels may carry one family in the other",
          own: `Address family of virtual server and real server ${address} don't match - skipping real server.`,
          ownAt: server.close,
        },
      );
      return false;
    });
  }

  #protocol(): void {
    const { draft } = this;
    if (draft.door.kind === "fwmark") {
      if (draft.protocol === undefined) return;
      this.#warn(
        "protocol-on-fwmark",
        `a firewall mark has no protocol: ${draft.protocol.toUpperCase()} is ignored`,
        remark(
          `Warning: Virtual server ${this.name()}: protocol specified for fwmark - protocol will be ignored`,
          "remove the protocol line",
        ),
      );
      delete draft.protocol;
    } else if (draft.protocol === undefined) {
      const marksOnly = this.group?.entries.every((each) => each.kind === "fwmark") ?? false;
      if (!marksOnly) {
        this.#warn(
          "protocol-missing",
          `virtual server ${this.name()} names no protocol; UDP is used`,
          remark(
            `Virtual server ${this.name()}: no protocol set - defaulting to UDP`,
            "add a line: protocol TCP",
          ),
        );
      }
      draft.protocol = "udp";
    }
    if (draft.onePacket && draft.protocol !== "udp") {
      this.#warn(
        "ops-needs-udp",
        "one-packet scheduling (ops) is for UDP only; it is left out",
        remark(
          `Virtual server ${this.name()}: one packet scheduling requires UDP - resetting`,
          "remove the ops line",
        ),
      );
      draft.onePacket = false;
    }
  }

  #persistence(): void {
    const { draft } = this;
    const { door } = draft;
    const ports =
      door.kind === "address"
        ? [door.port]
        : (this.group?.entries ?? []).flatMap((each) => (each.kind === "address" ? [each.port] : []));
    if (!ports.includes(0) || draft.persistenceS !== undefined || draft.granularity !== undefined) return;
    draft.persistenceS = PERSISTENCE_DEFAULT_S;
    this.#warn(
      "port-missing-needs-persistence",
      `a service for all ports must be persistent; ${PERSISTENCE_DEFAULT_S} s are used`,
      remark(
        `Virtual server ${this.name()}: zero port only valid for persistent services - setting`,
        "name the port, or add a line: persistence_timeout 360",
      ),
    );
  }

  #defaults(): void {
    const { draft } = this;
    if (draft.scheduler === undefined) {
      this.#warn(
        "scheduler-missing",
        `virtual server ${this.name()} names no scheduler; wlc is used`,
        remark(
          `Virtual server ${this.name()}: no scheduler set, setting default 'wlc'`,
          "add a line: lb_algo wlc",
        ),
      );
    }
    if (draft.forwarding === undefined && draft.servers.some((server) => server.forwarding === undefined)) {
      this.#warn(
        "forwarding-missing",
        `virtual server ${this.name()} names no forwarding method; NAT is used`,
        remark(
          `Virtual server ${this.name()}: no forwarding method set, setting default NAT`,
          "add a line: lb_kind NAT",
        ),
      );
    }
  }

  /** Words that need others to mean something. */
  #withoutEffect(): void {
    const { draft } = this;
    const tell = (is: boolean, word: string, without: string): void => {
      if (is) this.#warn("no-effect", `${word} has no effect without ${without}`, {});
    };
    const tunnels = draft.servers.some((server) => this.#forwarding(server).method === "tun");
    tell(
      draft.family !== undefined && !(draft.door.kind === "fwmark" && tunnels),
      "ip_family",
      "a mark and tunnels",
    );
    const persistent = draft.persistenceS !== undefined || draft.granularity !== undefined;
    tell(draft.engine !== undefined && !persistent, "persistence_engine", "persistence_timeout");
    tell(
      draft.sorryForwarding !== undefined && draft.sorry === undefined,
      "sorry_server_lvs_method",
      "a sorry_server",
    );
  }

  #rsName(server: { address: { address: string }; port: number }): string {
    return `[${server.address.address}]:${this.draft.protocol ?? "none"}:${server.port}`;
  }

  #unique(servers: readonly RealServerDraft[]): RealServerDraft[] {
    const seen = new Set<string>();
    return servers.filter((server) => {
      const key = this.#rsName(server);
      if (!seen.has(key)) return Boolean(seen.add(key));
      this.#warn(
        "duplicate-real-server",
        `real server ${server.address.address} port ${server.port} is there already; the second one is left out`,
        remark(
          `VS ${this.name()}: real server ${key} is duplicated - removing second rs`,
          "remove one of them",
        ),
        server.word,
      );
      return false;
    });
  }

  #quorum(servers: readonly RealServerDraft[]): { quorum: number; hysteresis: number } {
    const { draft } = this;
    const total = servers.reduce((sum, server) => sum + this.#weight(server), 0);
    let quorum = draft.quorum ?? 1;
    let hysteresis = draft.hysteresis ?? 0;
    if (quorum > total && !(quorum === 1 && draft.quorum === undefined)) {
      const own = `Warning - quorum ${quorum} for ${this.name()} exceeds total weight of real servers ${total}, reducing quorum to ${total}`;
      this.#warn(
        "quorum-too-high",
        `quorum ${quorum} is more than all weights together; ${total} is used`,
        remark(own),
      );
      quorum = total;
    }
    if (hysteresis > 0 && hysteresis >= quorum) {
      const less = Math.max(0, quorum - 1);
      const own = `Virtual server ${this.name()}: hysteresis ${hysteresis} >= quorum ${quorum}; setting hysteresis to ${less}`;
      this.#warn(
        "hysteresis-too-high",
        `hysteresis ${hysteresis} is not less than the quorum; ${less} is used`,
        remark(own),
      );
      hysteresis = less;
    }
    return { quorum, hysteresis };
  }

  #weight(server: RealServerDraft): number {
    return server.weight ?? this.draft.weight ?? 1;
  }

  /** The port that a real or sorry server gets: with DR and TUN there is no other than the service's. */
  #port(given: number, { method }: Forwarding, word: Word, server?: RealServerDraft): number {
    const { door } = this.draft;
    if (method === "nat" || method === "fullnat") return given;
    const ports = new Set(
      door.kind === "address"
        ? [door.port]
        : door.kind === "fwmark"
          ? [0]
          : (this.group?.entries ?? []).map((each) => (each.kind === "address" ? each.port : 0)),
    );
    const right = [...ports][0] ?? 0;
    if (ports.has(given) || (ports.size > 1 && given === 0)) return given;
    if (ports.size > 1) {
      this.#warn(
        "port-mismatch",
        `with DR and TUN the port ${given} cannot be reached through all of the group`,
        {},
        word,
      );
      return given;
    }
    const mark = door.kind === "fwmark";
    const whose = server ? `real server ${this.#rsName(server)}` : "sorry server";
    const own = mark
      ? `WARNING - fwmark virtual server ${this.name()}, ${whose} has port specified - clearing`
      : `WARNING - virtual server ${this.name()} and ${whose} ports don't match - resetting`;
    this.#warn(
      mark ? "port-on-fwmark" : server ? "port-mismatch" : "sorry-port-mismatch",
      mark
        ? `with a mark and ${method.toUpperCase()} a port cannot be chosen: ${given} is cleared`
        : `${method.toUpperCase()} cannot change ports: ${given} becomes ${right}`,
      remark(own, mark ? "remove the port" : `write port ${right}, or use lb_kind NAT`),
      word,
    );
    return right;
  }

  #sorry(family: 4 | 6): SorryServerSpec | undefined {
    const { sorry, sorryForwarding, sorryInhibit, forwarding } = this.draft;
    if (sorry === undefined) {
      if (sorryInhibit) {
        const own = "Ignoring sorry_server inhibit used before or without sorry_server";
        this.#warn("no-effect", "sorry_server_inhibit has no effect without a sorry_server", { own });
      }
      return undefined;
    }
    const way = sorryForwarding ?? forwarding ?? NAT;
    if (sorry.address.family !== family && way.method !== "tun") {
      const message = `the sorry server is IPv${sorry.address.family}, the virtual server IPv${family}; it is left out`;
      this.reader.error("family-mismatch", sorry.word, message, {
        own: `Address family of virtual server and sorry server ${sorry.address.address} don't match - skipping sorry server.`,
      });
      return undefined;
    }
    const port = this.#port(sorry.port, way, sorry.word);
    return { id: { ...sorry.address, port }, ...way, inhibit: sorryInhibit ?? false };
  }

  #haSuspend(): boolean {
    if (!this.draft.haSuspend || this.draft.door.kind !== "fwmark") return this.draft.haSuspend ?? false;
    this.#warn(
      "no-effect",
      "ha_suspend needs an address; with a mark it is left out",
      remark(`Virtual server ${this.name()}: cannot use ha_suspend with fwmarks - clearing ha_suspend`),
    );
    return false;
  }

  #ids(family: 4 | 6): ServiceId[] | undefined {
    const { door, protocol } = this.draft;
    if (door.kind === "fwmark") return [{ kind: "fwmark", family, fwmark: door.fwmark }];
    const transport = protocol ?? "udp";
    if (door.kind === "address") {
      return [{ kind: "address", protocol: transport, ...door.address, port: door.port }];
    }
    return (this.group?.entries ?? []).flatMap((each): ServiceId[] =>
      each.kind === "fwmark"
        ? [{ kind: "fwmark", family: each.family ?? family, fwmark: each.fwmark }]
        : each.addresses.map((one) => ({ kind: "address", protocol: transport, ...one, port: each.port })),
    );
  }

  /** The table takes no lower threshold above the upper one. */
  #thresholds({ upper = 0, lower = 0, word }: RealServerDraft): { upper: number; lower: number } {
    if (lower <= upper) return { upper, lower };
    const message = `lthreshold ${lower} is more than uthreshold ${upper}; it is left out`;
    this.reader.error("bad-range", word, message, {
      remedy: `${upper === 0 ? "add a uthreshold above it" : "swap them"}: no table takes such a server`,
    });
    return { upper, lower: 0 };
  }

  #server(server: RealServerDraft, port: number): RealServerSpec {
    const { draft, around } = this;
    const inherited = {
      timing: [server, draft],
      virtualhost: server.virtualhost ?? draft.virtualhost,
    };
    const isFile = (checker: { word: Word }) => checker.word.text === "FILE_CHECK";
    const ordered = [
      ...server.checkers.filter((checker) => !isFile(checker)),
      ...server.checkers.filter(isFile),
    ];
    // Checks go to the port that is written, also where DR or TUN cannot forward to it.
    return {
      id: { ...server.address, port },
      ...this.#forwarding(server),
      weight: this.#weight(server),
      ...this.#thresholds(server),
      inhibitOnFailure: server.inhibitOnFailure ?? draft.inhibitOnFailure ?? false,
      checks: ordered.flatMap((checker) => checksOf(checker, server, inherited, around, this.reader)),
      ...(server.notifyUp === undefined ? {} : { notifyUp: server.notifyUp }),
      ...(server.notifyDown === undefined ? {} : { notifyDown: server.notifyDown }),
      smtpAlert: server.smtpAlert ?? around.smtpAlert ?? around.mail,
      ...(inherited.virtualhost === undefined ? {} : { virtualhost: inherited.virtualhost }),
      at: placeOf(server.word),
    };
  }
}

/** Finishes all virtual servers, in the order of the file. */
export function finishVirtualServers(
  drafts: readonly VirtualServerDraft[],
  around: ServerSurroundings,
  reader: Reader,
): VirtualServerSpec[] {
  const uses = new Map<string, number>();
  const names = new Map<string, Word>();
  return drafts.flatMap((draft) => {
    const { door } = draft;
    const group = door.kind === "group" ? door.group.text : "";
    const use = uses.get(group) ?? 0;
    if (door.kind === "group") uses.set(group, use + 1);
    const spec = new Finishing(draft, around, use, reader).finish();
    if (spec === undefined) return [];
    const before = names.get(spec.name);
    if (before !== undefined) {
      reader.error(
        "duplicate-name",
        draft.word,
        `virtual server ${spec.name} is in line ${before.from.line} already; the second one is left out`,
        { remedy: "put all real servers into one block" },
      );
      return [];
    }
    names.set(spec.name, draft.word);
    return [spec];
  });
}
