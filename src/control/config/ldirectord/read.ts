/**
 * Reads the text of an ldirectord.cf: lines, blocks, directives; then globals and defaults into every service.
 *
 * The original ends at the first error. This goes on, to tell all of them, in the order in which the original would have met them:
 * the first error is the one that it reports.
 * @module
 */
import type { Family } from "../../../core/service.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { suggest } from "../suggest.ts";
import { BLOCK, BLOCK_DEFAULTS, type Directive, GLOBAL } from "./directives.ts";
import type { Facts } from "./facts.ts";
import { cutHost, readHost, readPort } from "./hosts.ts";
import { type FallbackText, parseFallback, type RealContext, readReal, resolveFallback } from "./real.ts";
import { type Block, resolve } from "./resolve.ts";
import {
  type BlockSettings,
  type GlobalSettings,
  type LdirectordFile,
  type RealSettings,
  type VirtualAddress,
  virtualName,
} from "./settings.ts";
import { directiveOf, Fault, part, Source, type SourceLine, type Span, wholeLine } from "./source.ts";

/** A block when its last line was read, its names not yet looked up. */
interface Draft {
  readonly family: Family;
  readonly line: Span;
  /** Undefined after a first line that cannot be used. */
  readonly who: { mark: number; text: Span } | { host: Span; port: Span } | undefined;
  protocol: "tcp" | "udp" | "fwm";
  settings: BlockSettings;
  fallback: FallbackText | undefined;
  readonly reals: Span[];
}

const VIRTUAL = /^virtual(6?)[ \t]*=[ \t]*/;
const FALLBACK_AT_TOP = ["fallback", "fallback6"] as const;

/** compat: a carriage return spoils `yes` and `no`, and nothing else. */
const withoutReturn = (span: Span): Span =>
  span.text.endsWith("\r") && !/^(yes|no)\r$/.test(span.text) ? part(span, 0, span.text.length - 1) : span;

class Reader {
  readonly #source: Source;
  readonly #facts: Facts;
  #globals: GlobalSettings = { execute: [] };
  readonly #blocks: Block[] = [];
  readonly #lineOf = new Map<string, number>();
  #at = 0;

  constructor(source: Source, facts: Facts) {
    this.#source = source;
    this.#facts = facts;
  }

  read(): LdirectordFile {
    const { lines } = this.#source;
    while (this.#at < lines.length) {
      const line = lines[this.#at]!;
      if (/^[ \t\r]*(#|$)/.test(line.text)) this.#at++;
      else if (VIRTUAL.test(line.text)) this.#block(line);
      else if (/^[ \t]/.test(line.text)) this.#strayLines(line);
      else {
        this.#top(line);
        this.#at++;
      }
    }
    return resolve(this.#globals, this.#blocks, this.#source);
  }

  /** An indented line outside a block, and those that follow it: one message for all. */
  #strayLines(line: SourceLine): void {
    const inBlock = this.#blocks.length > 0 || this.#at > 0;
    const remedy = !inBlock
      ? "directives outside a block begin in the first column"
      : /^ {1,3}\S/.test(line.text)
        ? "lines of a block are indented by a tab or at least four blanks"
        : "a block ends at an empty line, and at a line that is not indented: remove what stands between";
    const what = directiveOf(wholeLine(line))?.name.text ?? line.text.trim();
    this.#source.say(
      new Fault("indented", `"${what}" is indented, but does not belong to a virtual service`, { remedy }),
      wholeLine(line),
    );
    const { lines } = this.#source;
    do this.#at++;
    while (this.#at < lines.length && /^[ \t]/.test(lines[this.#at]!.text));
  }

  #top(line: SourceLine): void {
    const content = wholeLine(line);
    if (content.text.trim() === "supervised") {
      this.#warn(content, "deprecated", "a bare supervised counts as supervised=yes", "write supervised=yes");
      this.#globals = { ...this.#globals, supervised: true };
      return;
    }
    const directive = directiveOf(content);
    const name = directive?.name.text;
    if (directive === undefined || name === undefined) {
      this.#unknown(content, GLOBAL);
      return;
    }
    const value = withoutReturn(directive.value);
    if (name === "fallback" || name === "fallback6") {
      const context = this.#context(name === "fallback" ? 4 : 6, "tcp");
      const text = parseFallback(value, context.family);
      const read = text === undefined || text instanceof Fault ? text : resolveFallback(text, context);
      if (read instanceof Fault) this.#source.say(read, value);
      else if (read !== undefined) this.#globals = { ...this.#globals, [name]: read };
      return;
    }
    if (!Object.hasOwn(GLOBAL, name)) {
      this.#unknown(content, GLOBAL, FALLBACK_AT_TOP);
      return;
    }
    const read = this.#read(GLOBAL[name]!, value, { execute: this.#globals.execute });
    if (read !== undefined) this.#globals = { ...this.#globals, ...read };
    this.#remark(name, value);
  }

  /** What is worth saying about a directive that was read. */
  #remark(name: string, value: Span): void {
    if (name === "checkcount") {
      this.#warn(value, "deprecated", "checkcount only counts pings", "use failurecount");
    }
    if (name === "load") {
      this.#source.say(
        new Fault("no-effect", "load has no effect, here as in the original", {
          severity: "notice",
          remedy: "remove it; checktype=external can look at the load of a server",
        }),
        value,
      );
    }
    const { callback } = this.#globals;
    if (name === "callback" && callback && this.#facts.files.kind(callback) !== "executable") {
      this.#warn(
        value,
        "not-executable",
        `${callback} cannot be run`,
        "it is looked at again before every run",
      );
    }
    const folder = this.#globals.maintenancedir;
    if (name === "maintenancedir" && folder && this.#facts.files.kind(folder) !== "directory") {
      this.#warn(
        value,
        "no-folder",
        "maintenance directory does not exist",
        "it is looked at again before every check",
      );
    }
  }

  #warn(span: Span, code: string, message: string, remedy?: string): void {
    this.#source.say(
      new Fault(code, message, { severity: "warning", ...(remedy !== undefined && { remedy }) }),
      span,
    );
  }

  #context(family: Family, protocol: "tcp" | "udp"): RealContext {
    return { source: this.#source, family, protocol, names: this.#facts.names };
  }

  #read<S>(
    directive: Directive<S>,
    value: Span,
    more: { execute?: readonly string[]; block?: BlockSettings; family?: Family },
  ): Partial<S> | undefined {
    const read = directive(value, { source: this.#source, facts: this.#facts, ...more });
    if (!(read instanceof Fault)) return read;
    this.#source.say(read, value.text === "" ? wholeLine(value.line) : value);
    return undefined;
  }

  #unknown(content: Span, table: object, more: readonly string[] = []): void {
    const name = directiveOf(content)?.name.text ?? /^[A-Za-z0-9_-]*/.exec(content.text)![0];
    const here = table === GLOBAL ? "outside a block" : "in a block";
    const other = table === GLOBAL ? BLOCK : GLOBAL;
    const known = [...Object.keys(table), ...more, "virtual", "virtual6", "real", "real6", "protocol"];
    let message = `"${name || content.text.trim()}" is no directive ${here}`;
    let remedy: string | undefined;
    if (Object.hasOwn(table, name)) {
      message = `"${name}" needs a value`;
      remedy = `write ${name}=...`;
    } else if (Object.hasOwn(other, name) || name === "real" || name === "real6" || name === "protocol") {
      remedy =
        table === GLOBAL
          ? "it belongs into the block of a virtual service: indent it by a tab"
          : "it stands outside the blocks, in the first column";
    } else {
      const near = name === "" ? undefined : suggest(name, known);
      if (near !== undefined && near !== name) remedy = `did you mean ${near}?`;
      else if (content.text.startsWith(";")) remedy = "comments begin with #";
    }
    this.#source.say(
      new Fault("unknown-directive", message, remedy === undefined ? {} : { remedy }),
      content,
    );
  }

  /** Reads a block, from its first line to the line that ends it. */
  #block(first: SourceLine): void {
    const { lines } = this.#source;
    const draft = this.#virtual(first);
    this.#at++;
    for (; this.#at < lines.length; this.#at++) {
      const line = lines[this.#at]!;
      if (/^[ \t]*#/.test(line.text)) continue;
      const lead = /^[ \t]*/.exec(line.text)![0];
      // A tab counts as four blanks; behind four of them there must be something, if only a fifth.
      const indent = lead.replaceAll("\t", "    ").length;
      if (indent < 4 || (indent === 4 && line.text.length === lead.length)) break;
      this.#inBlock(draft, line, lead.length);
    }
    const ended = lines[Math.min(this.#at, lines.length - 1)]!;
    const block = this.#finish(draft);
    if (block === undefined) return;
    const key = virtualName(block.id);
    const before = this.#lineOf.get(key);
    if (before !== undefined) {
      const remedy = "one service has one block: put its real servers together";
      const message = `${key} stands in this file twice: at line ${before} and at line ${first.number}`;
      this.#source.say(new Fault("duplicate", message, { remedy }), wholeLine(ended));
      return;
    }
    this.#lineOf.set(key, first.number);
    this.#blocks.push(block);
  }

  #virtual(first: SourceLine): Draft {
    const line = wholeLine(first);
    const match = VIRTUAL.exec(first.text)!;
    const family: Family = match[1] === "6" ? 6 : 4;
    const value = withoutReturn(part(line, match[0].length));
    const draft: Omit<Draft, "who" | "protocol"> = {
      family,
      line,
      settings: BLOCK_DEFAULTS,
      fallback: undefined,
      reals: [],
    };
    if (family === 4 && value.text.startsWith("[")) {
      const remedy = `write virtual6=${value.text}`;
      this.#source.say(new Fault("bad-address", "an IPv6 address needs virtual6", { remedy }), value);
      return { ...draft, who: undefined, protocol: "tcp" };
    }
    const host = cutHost(value, family);
    if (host?.port !== undefined) {
      const protocol = /^(53|domain)$/.test(host.port.text) ? "udp" : "tcp";
      return { ...draft, who: { host: host.host, port: host.port }, protocol };
    }
    const mark = /^\d+(?![\d.:])/.exec(value.text)?.[0];
    if (mark !== undefined) {
      const text = part(value, 0, mark.length);
      if (Number(mark) >= 1 && Number(mark) <= 0xffffffff) {
        return { ...draft, who: { mark: Number(mark), text }, protocol: "fwm" };
      }
      this.#source.say(new Fault("bad-mark", "a firewall mark is 1..4294967295"), text);
      return { ...draft, who: undefined, protocol: "fwm" };
    }
    const example = family === 6 ? "[2001:db8::1]:80" : "192.0.2.1:80";
    const remedy =
      host !== undefined && host.rest.text.trim() === ""
        ? `the port is missing: ${family === 6 ? `[${host.host.text}]` : host.host.text}:80`
        : `write ${example}, HOST:PORT or the number of a firewall mark`;
    this.#source.say(new Fault("bad-address", `"${value.text}" names no virtual service`, { remedy }), value);
    return { ...draft, who: undefined, protocol: "tcp" };
  }

  #inBlock(draft: Draft, line: SourceLine, contentAt: number): void {
    const hash = line.text.indexOf("#");
    const end = hash < 0 ? line.text.length : hash;
    const content: Span = { line, column: contentAt + 1, text: line.text.slice(contentAt, end) };
    if (content.text.trim() === "") {
      const remedy = "remove it, or let it be really empty: it ends the block then";
      this.#source.say(new Fault("blanks", "a line of blanks only", { remedy }), { ...content, column: 1 });
      return;
    }
    const directive = directiveOf(content);
    if (directive === undefined) {
      this.#unknown(content, BLOCK);
      return;
    }
    const name = directive.name.text;
    const value = withoutReturn(directive.value);
    switch (name) {
      case "real":
      case "real6":
      case "fallback":
      case "fallback6": {
        const base = name.replace("6", "");
        const right = draft.family === 6 ? `${base}6` : base;
        if (name !== right) {
          const what = `a block of virtual${draft.family === 6 ? "6" : ""}`;
          const fault = new Fault("wrong-family", `${name} does not belong into ${what}`, {
            remedy: `write ${right}`,
          });
          this.#source.say(fault, directive.name);
        } else if (base === "real") draft.reals.push(value);
        else {
          const text = parseFallback(value, draft.family);
          if (text instanceof Fault) this.#source.say(text, value);
          else draft.fallback = text;
        }
        return;
      }
      case "protocol":
        this.#protocol(draft, value);
        return;
      default: {
        if (!Object.hasOwn(BLOCK, name)) {
          this.#unknown(content, BLOCK);
          return;
        }
        const read = this.#read(BLOCK[name]!, value, { block: draft.settings, family: draft.family });
        if (read !== undefined) draft.settings = { ...draft.settings, ...read };
        this.#remark(name, value);
      }
    }
  }

  #protocol(draft: Draft, value: Span): void {
    const word = /\w+/.exec(value.text)?.[0];
    if (draft.protocol === "fwm" ? word === "fwm" : word === "tcp" || word === "udp") {
      draft.protocol = word as Draft["protocol"];
      return;
    }
    const message =
      draft.protocol === "fwm"
        ? "the protocol of a firewall mark is fwm"
        : "the protocol of an address is tcp or udp";
    this.#source.say(new Fault("bad-protocol", message), value);
  }

  /** Looks names up, in the order of the original: fallback, virtual, reals. */
  #finish(draft: Draft): Block | undefined {
    const { family, who } = draft;
    const protocol = draft.protocol === "fwm" ? "tcp" : draft.protocol;
    const context = this.#context(family, protocol);
    const fallback = draft.fallback && resolveFallback(draft.fallback, context);
    if (fallback instanceof Fault) this.#source.say(fallback, draft.fallback!.span);

    let id: VirtualAddress | undefined;
    if (who !== undefined && "mark" in who) id = { kind: "fwmark", family, fwmark: who.mark };
    else if (who !== undefined) {
      const address = readHost(who.host, family, this.#facts.names);
      const port = address instanceof Fault ? 0 : readPort(who.port, protocol, this.#facts.names);
      if (address instanceof Fault) this.#source.say(address, who.host);
      else if (port instanceof Fault) this.#source.say(port, who.port);
      else id = { kind: "address", family, protocol, address, port };
    }

    const reals: RealSettings[] = [];
    for (const span of draft.reals) {
      const read = readReal(span, context);
      if (read instanceof Fault) this.#source.say(read, span.text === "" ? wholeLine(span.line) : span);
      else reals.push(...read);
    }
    if (id === undefined) return undefined;
    return {
      id,
      settings: draft.settings,
      fallback: fallback instanceof Fault ? undefined : fallback,
      reals,
      line: draft.line,
    };
  }
}

/** What a text says, and what is to be said about it. */
export function readText(
  path: string,
  text: string,
  facts: Facts,
): { file: LdirectordFile; source: Source; diagnostics: Diagnostic[] } {
  const source = new Source(path, text);
  const file = new Reader(source, facts).read();
  return { file, source, diagnostics: source.diagnostics };
}
