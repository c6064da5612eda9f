/**
 * The words outside of blocks, and the blocks themselves.
 * @module
 */

import { GLOBAL_DEFS, SSL } from "./global-defs.ts";
import type { GlobalDraft } from "./global-draft.ts";
import { globalDraft } from "./global-draft.ts";
import { readGroup } from "./groups.ts";
import {
  type Keyword,
  learnHomes,
  readBlock,
  readStatement,
  type Table,
  TOP_LEVEL,
  table,
} from "./keyword.ts";
import type { Phase, Reader } from "./reader.ts";
import type { GroupDraft, VirtualServerDraft } from "./server-draft.ts";
import type { Statement } from "./tree.ts";
import { timerKeyword } from "./values.ts";
import { readVirtualServer, VIRTUAL_SERVER } from "./virtual-servers.ts";
import { VRRP_BLOCKS, type VrrpDraft, vrrpDraft } from "./vrrp.ts";

/** A whole configuration while it is read. */
export interface Draft {
  readonly global: GlobalDraft;
  readonly virtualServers: VirtualServerDraft[];
  readonly groups: Map<string, GroupDraft>;
  readonly vrrp: VrrpDraft;
}

/** Nothing read. */
export const draft = (): Draft => ({
  global: globalDraft(),
  virtualServers: [],
  groups: new Map(),
  vrrp: vrrpDraft(),
});

/** A word outside of blocks that sets a global. */
function name(field: "netns" | "instance"): Keyword<Draft> {
  return {
    least: 1,
    read({ words }, { global }, reader) {
      const [keyword, word] = words;
      if (global[field] === undefined) global[field] = word.text;
      else {
        reader.warn(
          "duplicate-setting",
          keyword,
          `${keyword.text} stands here a second time; the first one is used`,
          {
            own: `Duplicate ${keyword.text} definition %s - ignoring`,
          },
        );
      }
    },
  };
}

/** What belongs to the checkers; the rest of the blocks is VRRP's. */
const CHECKER_BLOCKS: Readonly<Record<string, Keyword<Draft>>> = {
  SSL: {
    block: SSL as Table<never>,
    read(statement, { global }, reader) {
      global.client ??= {};
      readBlock(statement.block ?? [], SSL, global.client, "SSL", reader);
    },
  },
  virtual_server_group: {
    block: "items",
    least: 1,
    read(statement, { groups }, reader) {
      const group = readGroup(statement, reader);
      const { text } = group.nameWord;
      if (group.entries.length === 0) {
        reader.error("empty-group", group.word, `group ${text} has no usable member`, {
          remedy: "add a line: IP PORT",
          own: `virtual server group ${text} has no entries - removing`,
          ownAt: group.close,
        });
      }
      if (groups.has(text)) {
        reader.error(
          "duplicate-name",
          group.nameWord,
          `there is a group ${text} already; this one is left out`,
          {
            remedy: "give it another name",
          },
        );
      } else groups.set(text, group);
    },
  },
  virtual_server: {
    block: VIRTUAL_SERVER as Table<never>,
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, { virtualServers }, reader) {
      const found = readVirtualServer(statement, reader);
      if (found) virtualServers.push(found);
    },
  },
};

/** Everything that may stand at the top level. */
export const TOP: Table<Draft> = table<Draft>({
  global_defs: {
    block: GLOBAL_DEFS as Table<never>,
    read(statement, { global }, reader) {
      readBlock(statement.block ?? [], GLOBAL_DEFS, global, "global_defs", reader);
    },
  },
  net_namespace: name("netns"),
  instance: name("instance"),
  net_namespace_ipvs: { most: 1, without: "services are made in the namespace the program runs in" },
  namespace_with_ipsets: { without: "no ipsets are used" },
  use_pid_dir: { without: "name the files with --pid" },
  linkbeat_use_polling: { without: "the kernel tells of links going down" },
  child_wait_time: {
    ...timerKeyword<{ waitMs: number }>("waitMs", 0, 4294, "Invalid child_wait_time %s"),
    without: "everything is stopped as soon as it has finished",
  } as unknown as Keyword<Draft>,
  ...CHECKER_BLOCKS,
  ...Object.fromEntries(
    Object.entries(VRRP_BLOCKS).map(([word, keyword]): [string, Keyword<Draft>] => [
      word,
      {
        ...(keyword as unknown as Keyword<Draft>),
        ...(keyword.read
          ? { read: (statement, { vrrp }, reader) => keyword.read?.(statement, vrrp, reader) }
          : {}),
      },
    ]),
  ),
});
learnHomes(TOP as Table<never>, "");

/** The process of keepalived that reads a block. */
export function phaseOf(word: string): Phase {
  if (Object.hasOwn(CHECKER_BLOCKS, word)) return "checker";
  return Object.hasOwn(VRRP_BLOCKS, word) ? "vrrp" : "parent";
}

/** Reads all statements. */
export function readTop(statements: readonly Statement[], into: Draft, reader: Reader): void {
  for (const statement of statements) {
    reader.phase = phaseOf(statement.words[0].text);
    readStatement(statement, TOP, into, TOP_LEVEL, reader);
  }
  reader.phase = "parent";
}
