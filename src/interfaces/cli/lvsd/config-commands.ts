/**
 * The words of `lvsd check` and `lvsd fmt`.
 * @module
 */
import { Command } from "commander";

/** The commands about configuration files. */
export function configCommands(done: (status: number) => void): Command[] {
  const check = new Command("check")
    .description(
      "check a keepalived.conf or ldirectord.cf: everything there is to say about it, line by line",
    )
    .argument("<file>", "the configuration")
    .option("--json", "as JSON")
    .option("--fix", "rewrite a keepalived.conf into its clean form, comments kept")
    .option("--interfaces", "also check that the interfaces it names exist here")
    .option("-i, --config-id <id>", "value for @id lines; without it, the host name")
    .action(async (file, options) => done(await (await import("./check.ts")).check(file, options)));
  const fmt = new Command("fmt")
    .description("format keepalived.conf files, comments kept; prints the result")
    .argument("<file...>", "the configurations")
    .option("--write", "rewrite the files, and name those that changed")
    .option("--check", "only name those that are not formatted; status 1 if there are any")
    .action(async (files, options) => done((await import("./fmt.ts")).fmt(files, options)));
  return [check, fmt];
}
