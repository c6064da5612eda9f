/**
 * `lvsd settings`: the director's settings, shown and changed.
 * @module
 */
import { checkSetting, isSetting, type Settings } from "../../../core/settings.ts";
import { openPlane } from "../../../planes/select.ts";

type Name = keyof Settings;

/** One word of the command line: a name, or a name with its new value. */
export interface Wanted {
  readonly name: Name;
  readonly value?: number | string;
}

/** Reads a word; a name may bear the kernel's prefix. @throws Error, TableError that name the word and the rule */
export function readWord(word: string): Wanted {
  const [left, right] = word.split(/=(.*)/s) as [string, string | undefined];
  const name = left.replace(/^net[./]ipv4[./]vs[./]/, "");
  if (!isSetting(name)) {
    throw new Error(`there is no setting "${left}"; "lvsd settings" shows them all`);
  }
  return right === undefined ? { name } : { name, value: checkSetting(name, right) };
}

/** The lines that show some settings. */
export function show(settings: Settings, names: readonly Name[]): string[] {
  return names.map((name) => `${name} = ${settings[name]}`);
}

/** Shows all, or shows and changes those named. */
export async function settings(words: readonly string[], options: { json?: true }): Promise<number> {
  const wanted = words.map(readWord);
  const changes = wanted.filter((word) => word.value !== undefined).map(({ name, value }) => [name, value]);
  const plane = await openPlane();
  try {
    if (changes.length > 0) await plane.setSettings(Object.fromEntries(changes) as Partial<Settings>);
    const now = await plane.settings();
    const absent = wanted.find(({ name }) => now[name] === undefined);
    if (absent) throw new Error(`the ${plane.name} plane has no setting ${absent.name} here`);
    const names = wanted.length > 0 ? wanted.map(({ name }) => name) : (Object.keys(now).sort() as Name[]);
    const text = options.json
      ? JSON.stringify(Object.fromEntries(names.map((name) => [name, now[name]])), null, 2)
      : show(now, names).join("\n");
    process.stdout.write(`${text}\n`);
    return 0;
  } finally {
    await plane.close();
  }
}
