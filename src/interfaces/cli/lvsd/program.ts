/**
 * The subcommands of `lvsd`, their words and options; what each does is in a file of its own, loaded when it is chosen.
 * @module
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { configCommands } from "./config-commands.ts";
import { daemonCommands } from "./daemon-commands.ts";

/** Reads a port number. */
function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > 65535)
    throw new InvalidArgumentError("A port is 1..65535.");
  return number;
}

/** A first part for namespace names: short, and nothing that a path or a shell would take otherwise. */
function prefix(text: string): string {
  if (!/^[a-z][a-z0-9]{0,15}$/.test(text))
    throw new InvalidArgumentError("A prefix is a-z and 0-9, at most 16.");
  return text;
}

function labCommand(done: (status: number) => void): Command {
  const prefixOption = new Option("--prefix <word>", "first part of the namespaces' names")
    .argParser(prefix)
    .default("lvsd");
  const lab = new Command("lab")
    .description("build a tutorial's network here, run its commands, send requests and show who answered")
    .argument("[name]", "the lab; without it, the list")
    .option("--trace [depth]", 'show one request\'s packets at every interface; "all" leaves none out')
    .option("--keep", "leave the network up and say how to enter its hosts")
    .option(
      "--sync",
      "with failover: both directors know all connections, and a download outlives its director",
    )
    .addOption(prefixOption)
    .action(async (name: string | undefined, options) =>
      done(await (await import("./lab.ts")).lab(name, options)),
    );
  lab
    .command("down")
    .description("remove every lab, also what a crash left")
    .action(async () => done(await (await import("./lab.ts")).down(lab.opts()["prefix"])));
  return lab;
}

function engineCommand(done: (status: number) => void): Command {
  const engine = new Command("engine").description("the engine plane's process in this network namespace");
  engine
    .command("status")
    .description("whether it runs, and since when")
    .action(async () => done(await (await import("./engine.ts")).status()));
  engine
    .command("stop")
    .description("end it; its rules and connections are gone")
    .action(async () => done(await (await import("./engine.ts")).stop()));
  engine
    .command("announce")
    .description("answer ARP and neighbour discovery for a VIP that lies on no interface")
    .argument("<vip>", "the address")
    .argument("<interface>", "where to answer")
    .option("--undo", "stop answering")
    .action(async (vip, device, options) =>
      done(await (await import("./engine.ts")).announce(vip, device, options)),
    );
  return engine;
}

function planesCommand(done: (status: number) => void): Command {
  const planes = new Command("planes")
    .description("the data planes: what works here, and why others do not")
    .option("--json", "as JSON")
    .action(async (options) => done(await (await import("./planes.ts")).planes(options)));
  planes
    .command("reset")
    .description("remove the eBPF plane from this network namespace: rules, connections, programs, hooks")
    .action(async () => done(await (await import("./planes.ts")).reset()));
  return planes;
}

function syncCommand(done: (status: number) => void): Command {
  const sync = new Command("sync").description("connection sync between directors");
  sync
    .command("key")
    .description("show whether the key that both directors share can be used, and which it is")
    .argument("[file]", "the key's file (default: LVSD_SYNC_KEY, else /etc/lvsd/sync.key)")
    .option("--generate", "make it first; a file that is there stays")
    .action(async (file, options) => done((await import("./sync.ts")).key(file, options)));
  sync
    .command("status")
    .description("show the sync daemons of this network namespace, on whatever plane, and what they did")
    .option("--json", "as JSON")
    .action(async (options) => done(await (await import("./sync.ts")).status(options)));
  return sync;
}

function realserverCommand(done: (status: number) => void): Command {
  const realserver = new Command("realserver").description("prepare this host as a real server");
  const undo = ["--undo", "take everything back"] as const;
  realserver
    .command("dr")
    .description("direct routing: the VIP on lo, and no ARP for it")
    .argument("<vip>", "virtual IP address")
    .option(...undo)
    .action(async (vip, options) => done(await (await import("./realserver.ts")).dr(vip, options)));
  realserver
    .command("tun")
    .description("tunnels: the tunnel's end with the VIP on it; the kernel's tunl0, or our own decapsulator")
    .argument("<vip>", "virtual IP address")
    .addOption(new Option("--type <type>", "encapsulation").choices(["ipip", "gre", "gue"]).default("ipip"))
    .option("--gue-port <port>", "UDP port of GUE", port, 6080)
    .option(...undo)
    .action(async (vip, options) => done(await (await import("./realserver.ts")).tun(vip, options)));
  return realserver;
}

function program(done: (status: number) => void): Command {
  const lvsd = new Command("lvsd")
    .description(
      "Linux Virtual Server as one program: the daemon and its commands, labs, planes, settings, real servers. Single rules are made by ipvsadm.",
    )
    .exitOverride()
    .showHelpAfterError("(--help lists the words)");
  lvsd.addCommand(labCommand(done));
  for (const command of daemonCommands(done)) lvsd.addCommand(command);
  for (const command of configCommands(done)) lvsd.addCommand(command);
  lvsd.addCommand(planesCommand(done));
  lvsd.addCommand(engineCommand(done));
  lvsd
    .command("settings")
    .description("show or change the director's settings (net.ipv4.vs.* of the kernel)")
    .argument("[name[=value]...]", "all, some, or new values")
    .option("--json", "as JSON")
    .action(async (words, options) => done(await (await import("./settings.ts")).settings(words, options)));
  lvsd.addCommand(realserverCommand(done));
  lvsd.addCommand(syncCommand(done));
  lvsd
    .command("install")
    .description("link the commands into a folder of the PATH")
    .option("--prefix <folder>", "links go to FOLDER/sbin", "/usr/local")
    .action(async (options) => done((await import("./install.ts")).install(options.prefix)));
  lvsd
    .command("uninstall")
    .description("remove the links again")
    .option("--prefix <folder>", "links are in FOLDER/sbin", "/usr/local")
    .action(async (options) => done((await import("./install.ts")).uninstall(options.prefix)));
  lvsd
    .command("lab-ask", { hidden: true })
    .description("ask a lab's UDP server who answers")
    .addArgument(new Argument("<address>"))
    .addArgument(new Argument("<port>").argParser(port))
    .option("--from-port <port>", "source port", port, 0)
    .action(async (address, to, options) => {
      const { askUdp } = await import("../../lab/client.ts");
      process.stdout.write(`${await askUdp(address, to, options.fromPort)}\n`);
    });
  return lvsd;
}

/** Runs the words after `lvsd`. @returns exit status */
export async function run(words: readonly string[]): Promise<number> {
  let status = 0;
  const lvsd = program((result) => {
    status = result;
  });
  try {
    if (words.length === 0) lvsd.help();
    await lvsd.parseAsync(words, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // said what it had to already
    process.stderr.write(`lvsd: ${(error as Error).message}\n`);
    return 1;
  }
}
