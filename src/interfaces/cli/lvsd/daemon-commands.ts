/**
 * The words and options of `lvsd run` and of the commands that talk to a running daemon.
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";

/** A whole number from `least` on. */
const count =
  (least: number) =>
  (text: string): number => {
    if (!/^\d+$/.test(text) || Number(text) < least)
      throw new InvalidArgumentError(`A whole number from ${least} on.`);
    return Number(text);
  };

const CONTROL = [
  "--control <socket>",
  "control socket of the daemon (default: by network namespace, /run/lvsd)",
] as const;
const SERVICE = ["<service>", 'virtual server: "[10.0.0.1]:tcp:80", "10.0.0.1:80" or "fwmark 9"'] as const;
const SERVER = ["<server>", 'real server: "10.0.1.1:80", or its address alone'] as const;

type Done = (status: number) => void;

function runCommand(done: Done): Command {
  return new Command("run")
    .description(
      "the daemon: virtual servers with health checks, and VRRP, from keepalived.conf or ldirectord.cf",
    )
    .requiredOption("-f, --file <file>", "configuration")
    .option("--plane <plane>", "engine, kernel or ebpf (default: what is there)")
    .option("-n, --dont-fork", "stay in the foreground (the default)")
    .option("--detach", "run in the background; the command returns when all is set up")
    .addOption(
      new Option("--log <form>", "form of log lines").choices(["text", "json", "console"]).default("text"),
    )
    .option(
      "--log-file <file>",
      "append the log to a file (default: standard error; detached: the system log)",
    )
    .option("--pid <file>", "write the process number to a file")
    .option(...CONTROL)
    .option("-s, --netns <name>", "run in a network namespace")
    .option("-i, --config-id <id>", 'value for lines that begin with "@id"')
    .option("--strict", "do not start with a configuration that has errors")
    .option("--keep", "leave virtual servers and VRRP addresses when the daemon stops")
    .addOption(
      new Option("--removal <how>", "what becomes of a server that left the configuration")
        .choices(["drain", "immediate"])
        .default("drain"),
    )
    .option("--drain-limit <seconds>", "time a removed server has for its connections", count(0), 300)
    .option("--sync-wait <seconds>", "time VRRP waits at most for a peer's connections", count(0), 10)
    .action(async (options) => done(await (await import("./run.ts")).run(options)));
}

/** The commands, in the order of the help. */
export function daemonCommands(done: Done): Command[] {
  return [
    runCommand(done),
    new Command("status")
      .description("virtual servers, real servers with health and reason, connections, rates, VRRP")
      .option("--json", "as JSON")
      .option(...CONTROL)
      .action(async (options) => done(await (await import("./status.ts")).status(options))),
    new Command("plan")
      .description(
        "what a configuration would change, and its cost in live connections; exit status 2: changes",
      )
      .argument("[file]", "configuration (default: the daemon's own)")
      .option("--json", "as JSON")
      .option("--plane <plane>", "plane to compare with when no daemon runs")
      .option(...CONTROL)
      .action(async (file, options) => done(await (await import("./plan.ts")).plan(file, options))),
    new Command("reload")
      .description(
        "read the configuration again; what did not change is not touched, a broken one changes nothing",
      )
      .option(...CONTROL)
      .action(async (options) => done(await (await import("./reload.ts")).reload(options))),
    new Command("drain")
      .description("no new connections for a real server; those that live go on")
      .argument(...SERVICE)
      .argument(...SERVER)
      .option("--wait", "show progress until no active connection is left")
      .option("--timeout <seconds>", "give up waiting after this", count(1), 300)
      .option(...CONTROL)
      .action(async (service, server, options) =>
        done(await (await import("./drain.ts")).drain(service, server, options)),
      ),
    new Command("undrain")
      .description("take back a drain or a weight")
      .argument(...SERVICE)
      .argument(...SERVER)
      .option(...CONTROL)
      .action(async (service, server, options) =>
        done(await (await import("./drain.ts")).undrain(service, server, options)),
      ),
    new Command("weight")
      .description("another weight for a real server, until it is taken back")
      .argument(...SERVICE)
      .argument(...SERVER)
      .argument("<weight>", "0 to 2147483647")
      .option(...CONTROL)
      .action(async (service, server, weight, options) =>
        done(await (await import("./weight.ts")).weight(service, server, weight, options)),
      ),
    new Command("events")
      .description("what happened, newest last")
      .option("--follow", "go on with what happens")
      .option("--lines <count>", "how many of the past", count(0), 50)
      .option("--json", "one JSON object a line")
      .option(...CONTROL)
      .action(async (options) => done(await (await import("./events.ts")).events(options))),
    new Command("stop")
      .description("end the daemon")
      .option(...CONTROL)
      .action(async (options) => done(await (await import("./reload.ts")).stop(options))),
  ];
}
