/**
 * keepalived.conf: from a file to what is wanted, with everything there is to say about it.
 *
 * Reading is pure but for the files, which come through an interface; no kernel is asked.
 * @module
 */
import { randomInt } from "node:crypto";
import { hostname } from "node:os";
import { posix } from "node:path";
import type { FifoSpec, GlobalSpec, MailSpec, SyncDaemonSpec, Wanted } from "../../wanted.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { DISK } from "../files.ts";
import type { Edit } from "../fixes.ts";
import { Expansion } from "./expand.ts";
import type { FifoDraft, GlobalDraft } from "./global-draft.ts";
import { shapeOf, type Table } from "./keyword.ts";
import { Reader, type ReadOptions, type Said } from "./reader.ts";
import { orderSaid, sayStructure } from "./said.ts";
import { finishVirtualServers } from "./servers-of.ts";
import type { Text, Word } from "./text.ts";
import { type Draft, draft, readTop, TOP } from "./top.ts";
import { parseTree, type Statement } from "./tree.ts";
import { finishVrrp } from "./vrrp.ts";

export type { InterfaceFacts, ReadOptions, Said } from "./reader.ts";
export type { Statement } from "./tree.ts";

/** What reading a file gives. */
export interface Reading {
  readonly wanted: Wanted;
  /** In the order of the files and lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** What `keepalived -t` says, in its order. */
  readonly said: readonly Said[];
  readonly tree: readonly Statement[];
  /** Corrections for what can be corrected without asking. */
  readonly fixes: readonly Edit[];
}

/** The host name up to its first dot: keepalived's configuration id. */
const shortName = (name: string): string => name.split(".")[0];

function fifoOf({ path, script }: FifoDraft): FifoSpec | undefined {
  return path && { ...path, ...(script === undefined ? {} : { script }) };
}

function mailOf(global: GlobalDraft, hostName: string): MailSpec | undefined {
  const { notificationEmail: to, smtpServer } = global;
  if (to.length === 0 && smtpServer === undefined) return undefined;
  return {
    to,
    from: global.emailFrom ?? `keepalived@${hostName}`,
    ...(smtpServer === undefined ? {} : { server: smtpServer }),
    helo: global.smtpHelo ?? hostName,
    connectTimeoutS: global.smtpTimeoutS ?? 30,
    repeatS: 0,
  };
}

/** The sync daemon, once the instances are known. */
function syncOf(
  { global }: Draft,
  instances: readonly { readonly name: string; readonly routerId: number }[],
  fromInstance: { readonly interface: string; readonly instance: string } | undefined,
  reader: Reader,
): SyncDaemonSpec | undefined {
  const { sync } = global;
  if (sync === undefined) {
    if (fromInstance === undefined) return undefined;
    const routerId = instances.find(({ name }) => name === fromInstance.instance)?.routerId ?? 0;
    return { ...fromInstance, syncId: routerId, maxLen: 0, port: 0, ttl: 0, group: "" };
  }
  let instance = sync.instance && instances.find(({ name }) => name === sync.instance?.text);
  let { syncId } = sync;
  const word: Word | undefined = sync.instance;
  if (word !== undefined && instance === undefined) {
    const number = /^\d+$/.test(word.text) ? Number(word.text) : 256;
    if (number <= 255 && syncId === undefined) {
      syncId = number;
      instance = instances.find(({ routerId }) => routerId === number);
      const follows = instance ? `follows instance ${instance.name}` : "runs as master and as backup";
      reader.fix(word, `${instance ? `${instance.name} ` : ""}id ${number}`);
      reader.warn(
        "sync-id",
        word,
        `${word.text} is no vrrp_instance; it is taken as the sync id, and the daemon ${follows}`,
        {
          remedy: `write: lvs_sync_daemon ${sync.interface}${instance ? ` ${instance.name}` : ""} id ${number} (keepalived takes ${number} for the name of an instance and starts no sync daemon)`,
        },
      );
    } else {
      reader.error(
        "undefined-reference",
        word,
        `there is no vrrp_instance ${word.text}; no sync daemon runs`,
        {
          remedy: `name one of: ${instances.map(({ name }) => name).join(", ") || "(there is none)"}`,
        },
      );
      return undefined;
    }
  }
  return {
    interface: sync.interface,
    ...(instance === undefined ? {} : { instance: instance.name }),
    syncId: syncId ?? instance?.routerId ?? 0,
    maxLen: sync.maxLen ?? 0,
    port: sync.port ?? 0,
    ttl: sync.ttl ?? 0,
    group: sync.group ?? "",
  };
}

function globalOf(read: Draft, hostName: string, sync: SyncDaemonSpec | undefined): GlobalSpec {
  const { global } = read;
  const mail = mailOf(global, hostName);
  const timed = <T extends { command: readonly string[] }>(
    spec: T | undefined,
    timeoutS: number | undefined,
  ) => spec && { ...spec, timeoutS: timeoutS ?? 10 };
  const { realtimePriority, nice } = global.vrrp;
  const entries = {
    mail,
    timeouts: global.timeouts,
    sync,
    scriptUser: global.scriptUser,
    startupScript: timed(global.startupScript, global.startupTimeoutS),
    shutdownScript: timed(global.shutdownScript, global.shutdownTimeoutS),
    notifyFifo: fifoOf(global.fifos.all),
    lvsNotifyFifo: fifoOf(global.fifos.lvs),
    vrrpNotifyFifo: fifoOf(global.fifos.vrrp),
    vrrpProcess:
      realtimePriority === undefined && nice === undefined
        ? undefined
        : {
            ...(realtimePriority === undefined ? {} : { realtimePriority }),
            ...(nice === undefined ? {} : { nice }),
          },
    netns: global.netns,
    instance: global.instance,
  };
  return {
    routerId: global.routerId ?? hostName,
    noCheckerEmails: global.noCheckerEmails ?? false,
    noFaultEmails: global.noFaultEmails ?? false,
    flush: global.flush ?? false,
    flushOnStop: global.flushOnStop ?? "no",
    scriptSecurity: global.scriptSecurity ?? false,
    rsInitNotifies: global.rsInitNotifies ?? false,
    ...(Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as Partial<
      Pick<GlobalSpec, keyof typeof entries>
    >),
  };
}

/** keepalived's remark about scripts without enable_script_security, which decides the exit status. */
function scriptSecurity({ global }: Draft, reader: Reader): void {
  if (global.scriptSecurity) return;
  for (const phase of ["parent", "checker", "vrrp"] as const) {
    const word = reader.scripts.get(phase);
    if (word === undefined) continue;
    reader.phase = phase;
    const what = { parent: "start/shutdown scripts", checker: "check scripts", vrrp: "scripts" }[phase];
    reader.notice(
      phase === "checker" ? "script-security-checkers" : "script-security-vrrp",
      word,
      "scripts run without enable_script_security: whoever may change their files may do what the daemon may",
      {
        remedy: "add enable_script_security and script_user to global_defs",
        own: `SECURITY VIOLATION - ${what} are being executed but script_security not enabled.`,
        ownWithoutLine: true,
        status: 6,
      },
    );
  }
  reader.phase = "parent";
}

/** Programs of MISC_CHECKs that are not there: keepalived drops such checks without a word. */
function missingPrograms(wanted: Wanted, lines: ReadonlyMap<string, Word>, reader: Reader): void {
  for (const { checks } of wanted.virtualServers.flatMap(({ servers }) => servers)) {
    for (const { spec, at } of checks) {
      if (spec.kind !== "misc" || !spec.command[0].startsWith("/")) continue;
      const kind = reader.files.kind(spec.command[0]);
      if (kind === "executable" || (kind === "other" && spec.user !== undefined)) continue;
      const word = lines.get(`${at.file}:${at.line}:${at.column}`);
      if (word === undefined) continue;
      reader.error(
        "script-missing",
        word,
        `${spec.command[0]} ${kind === undefined ? "does not exist" : "cannot be run"}; this check will fail`,
        { remedy: "write the program's whole path; keepalived drops such a check without a word" },
      );
    }
  }
}

/** Reads a configuration from a text that is known already; includes come from `options.files`. */
export function readKeepalivedText(path: string, text: string, options: ReadOptions = {}): Reading {
  const hostName = options.hostName ?? hostname();
  const files = options.files ?? DISK;
  const reader = new Reader(files, options.interfaces);
  const absolute = posix.resolve(path);
  const expansion = new Expansion(reader, {
    configId: options.configId ?? shortName(hostName),
    files,
    strictIncludes: options.strictIncludes ?? false,
    random: options.random ?? (() => randomInt(32768)),
  });
  expansion.file(absolute, text);
  return readLines(expansion.lines, expansion.opened, hostName, reader);
}

function readLines(
  lines: readonly Text[],
  opened: readonly string[],
  hostName: string,
  reader: Reader,
): Reading {
  const tree = parseTree(lines, shapeOf(TOP as Table<never>), reader);
  const read = draft();
  readTop(tree, read, reader);
  sayStructure(lines, reader);

  reader.phase = "vrrp";
  const vrrp = finishVrrp(read.vrrp, read.global, reader);
  const instances = vrrp.instances;
  const sync = syncOf(read, instances, read.vrrp.syncInterface, reader);
  reader.phase = "checker";
  const { global } = read;
  const virtualServers = finishVirtualServers(
    read.virtualServers,
    {
      groups: read.groups,
      trackFiles: read.vrrp.trackFiles,
      bfdNames: read.vrrp.bfdNames,
      ...(global.client ? { client: global.client } : {}),
      logAllFailures: global.logAllFailures ?? false,
      smtpAlert: global.smtpAlertChecker ?? global.smtpAlert,
      mail: global.notificationEmail.length > 0 && global.smtpServer !== undefined,
    },
    reader,
  );
  reader.phase = "parent";
  scriptSecurity(read, reader);
  const wanted: Wanted = {
    language: "keepalived",
    files: [...new Set(opened)],
    global: globalOf(read, hostName, sync),
    virtualServers,
    vrrp,
  };
  const checkerWords = new Map(
    read.virtualServers.flatMap(({ servers }) =>
      servers.flatMap(({ checkers }) =>
        checkers.map(({ word }) => [`${word.from.file}:${word.from.line}:${word.column}`, word] as const),
      ),
    ),
  );
  missingPrograms(wanted, checkerWords, reader);
  if (wanted.vrrp.dynamicInterfaces) reader.forget("no-such-interface");
  return {
    wanted,
    diagnostics: inOrder(reader.diagnostics, opened),
    said: orderSaid(reader.said, opened),
    tree,
    fixes: reader.fixes,
  };
}

/** Sorts by file, line and column; equal ones keep their order, exact repetitions go. */
function inOrder(diagnostics: readonly Diagnostic[], opened: readonly string[]): Diagnostic[] {
  const rank = new Map(opened.map((file, i) => [file, i]));
  const seen = new Set<string>();
  return [...diagnostics]
    .sort(
      (a, b) =>
        (rank.get(a.at.file) ?? 0) - (rank.get(b.at.file) ?? 0) ||
        a.at.line - b.at.line ||
        a.at.column - b.at.column,
    )
    .filter((each) => {
      const key = `${each.at.file}:${each.at.line}:${each.at.column}:${each.code}:${each.message}`;
      return !seen.has(key) && Boolean(seen.add(key));
    });
}

/**
 * Reads a keepalived.conf.
 * @throws Error when the file itself cannot be read; what is wrong inside is told in `diagnostics`
 */
export function readKeepalived(path: string, options: ReadOptions = {}): Reading {
  const absolute = posix.resolve(path);
  const text = (options.files ?? DISK).read(absolute);
  if (text === undefined) throw new Error(`cannot read ${path}`);
  return readKeepalivedText(absolute, text, options);
}
