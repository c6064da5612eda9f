/**
 * A stage without any machine: the director's model, a simulated host around it, a clock that stands still unless told, and
 * the commands in this process.
 * @module
 */
import { Director } from "../core/director.ts";
import { isSetting } from "../core/settings.ts";
import { run } from "../interfaces/cli/ipvsadm/main.ts";
import { makeNames } from "../interfaces/cli/names.ts";
import { localPlane } from "../planes/engine/local.ts";
import { ModelHost } from "./model-host.ts";
import type { CommandResult, Output, Stage } from "./play.ts";
import { seeded } from "./random.ts";
import type { Side } from "./scenario.ts";

const TICK_MS = 100;

const NO_NAMES = makeNames({
  hosts: () => "",
  services: () => "",
  resolver: async () => undefined,
});

/** See the module's description. */
export class ModelStage implements Stage {
  private readonly host = new ModelHost();
  private readonly director: Director;
  private now = 1_000_000;

  constructor(options: { readonly local: boolean }) {
    this.host.watchLocal = options.local;
    this.host.now = this.now;
    this.director = new Director({ host: this.host, random: seeded(1), now: this.now });
    this.host.director = this.director;
  }

  async command(argv: readonly string[]): Promise<CommandResult> {
    const [name, ...words] = argv;
    if (name !== "ipvsadm") throw new Error(`"${name}" is not a command of scenarios`);
    let stdout = "";
    let stderr = "";
    const io = {
      program: "ipvsadm",
      async *stdin() {},
      stdout: (text: string) => {
        stdout += text;
      },
      stderr: (text: string) => {
        stderr += text;
      },
      stderrIsTerminal: () => false,
    };
    const status = await run(words, io, NO_NAMES, async () => localPlane(this.director, () => this.now));
    return { status, stdout, stderr };
  }

  inject(side: Side, bytes: Uint8Array): void {
    if (side === "local") this.host.originate(bytes);
    else this.host.arrive(side, bytes);
  }

  async outputs(): Promise<Output[]> {
    return this.host.out.splice(0);
  }

  sysctl(name: string, value: string): void {
    if (isSetting(name)) this.director.change({ [name]: value });
    else if (name === "net.ipv4.ip_unprivileged_port_start") this.host.unprivilegedPortStart = Number(value);
    else if (/^net\.ipv4\.conf\.\w+\.accept_local$/.test(name)) this.host.acceptLocal = value === "1";
    else throw new Error(`the model has no sysctl ${name}`);
  }

  async wait(ms: number): Promise<void> {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(this.now + TICK_MS, until);
      this.host.now = this.now;
      this.director.advance(this.now);
    }
  }

  mark(mark: number, protocol: string, address: string, port: number): void {
    this.host.addMark(mark, protocol, address, port);
  }

  marklocal(mark: number): void {
    this.host.localMarks.add(mark);
  }

  mtu(side: Side, mtu: number): void {
    if (side !== "local") this.host.setMtu(side, mtu);
  }

  address(cidr: string): void {
    this.host.addLocal(cidr);
  }

  localnet(cidr: string): void {
    this.host.addLocal(cidr);
  }
}
