/**
 * Globals and defaults, put into every service.
 * @module
 */
import {
  type BlockSettings,
  DAEMON_STATES,
  type FallbackSettings,
  type GlobalSettings,
  type LdirectordFile,
  type RealSettings,
  SERVICE_PORTS,
  type Service,
  type VirtualAddress,
  type VirtualSettings,
  virtualName,
} from "./settings.ts";
import { Fault, type Source, type Span } from "./source.ts";

/** A block with everything looked up. */
export interface Block {
  readonly id: VirtualAddress;
  readonly settings: BlockSettings;
  readonly fallback: FallbackSettings | undefined;
  readonly reals: readonly RealSettings[];
  /** Its first line. */
  readonly line: Span;
}

/** What a port stands for; a mark stands for nothing. */
export function serviceOf(id: VirtualAddress): Service {
  if (id.kind === "fwmark") return "none";
  return SERVICE_PORTS.find(([port]) => port === id.port)?.[1] ?? "none";
}

/** The block's fallback, else the global one of its family. */
function fallbackOf(block: Block, globals: GlobalSettings): VirtualSettings["fallback"] {
  const { id } = block;
  const chosen: FallbackSettings | undefined =
    block.fallback ?? (id.family === 6 ? globals.fallback6 : globals.fallback);
  if (chosen === undefined) return undefined;
  return { ...chosen, port: chosen.port ?? (id.kind === "fwmark" ? 0 : id.port) };
}

function virtual(block: Block, globals: GlobalSettings, source: Source): VirtualSettings {
  const { settings, id } = block;
  const name = virtualName(id);
  if (settings.checkinterval !== undefined && globals.fork !== true) {
    const message = `checkinterval in virtual service ${name} ignored when fork=no`;
    const remedy = "set it outside the blocks, or fork=yes";
    source.say(new Fault("ignored", message, { severity: "warning", remedy }), block.line);
  }
  const everywhere = globals.checkinterval ?? 10;
  const pick = <K extends keyof GlobalSettings & keyof typeof settings>(key: K) =>
    settings[key] ?? globals[key];
  const fallback = fallbackOf(block, globals);
  const { checktimeout: ct, negotiatetimeout: nt } = settings;
  return {
    ...settings,
    ...shared(pick),
    id,
    name,
    service: settings.service ?? serviceOf(id),
    checktimeout: ct ?? nt ?? globals.checktimeout ?? globals.negotiatetimeout ?? 5,
    negotiatetimeout: nt ?? ct ?? globals.negotiatetimeout ?? globals.checktimeout ?? 30,
    checkinterval: globals.fork === true ? (settings.checkinterval ?? everywhere) : everywhere,
    checkcount: pick("checkcount") ?? 1,
    failurecount: pick("failurecount") ?? 1,
    quiescent: pick("quiescent") ?? false,
    cleanstop: pick("cleanstop") ?? true,
    emailalertfreq: pick("emailalertfreq") ?? 0,
    emailalertstatus: pick("emailalertstatus") ?? DAEMON_STATES,
    reals: block.reals,
    at: source.place(block.line),
    ...(fallback !== undefined && { fallback }),
  };
}

/** Shared settings without a default. */
function shared(
  pick: <K extends "fallbackcommand" | "emailalert" | "smtp">(key: K) => string | undefined,
): Partial<VirtualSettings> {
  const fallbackcommand = pick("fallbackcommand");
  const emailalert = pick("emailalert");
  const smtp = pick("smtp");
  return {
    ...(fallbackcommand !== undefined && { fallbackcommand }),
    ...(emailalert !== undefined && { emailalert }),
    ...(smtp !== undefined && { smtp }),
  };
}

/** The whole file; globals may stand behind blocks and count for them too. */
export const resolve = (
  globals: GlobalSettings,
  blocks: readonly Block[],
  source: Source,
): LdirectordFile => ({
  path: source.path,
  globals,
  virtuals: blocks.map((block) => virtual(block, globals, source)),
});
