/**
 * A network with FTP servers behind a director, for tests of every plane that helps FTP: vsftpd on both real servers, which hold the
 * same files.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineNetwork, type HostName } from "./engine-network.ts";
import type { PlaneName } from "./planes.ts";

/** Where vsftpd is on Debian. */
export const VSFTPD = "/usr/sbin/vsftpd";

/** Small files, each holding "this is" and its name. */
export const NAMES: readonly string[] = Array.from({ length: 12 }, (_, i) => `a-file-with-a-long-name-${i}`);
/** What the file "big" holds. */
export const BIG = "balanced ".repeat(400_000);
const SEPARATOR = "\n-- and --\n";

/** See the module's description. */
export class FtpBed {
  readonly net: EngineNetwork;
  readonly #base = mkdtempSync(join(tmpdir(), "lvsd-ftp-"));
  readonly #children: ChildProcess[] = [];

  get #files(): string {
    return join(this.#base, "files");
  }
  get #empty(): string {
    return join(this.#base, "empty");
  }

  constructor(tag: string, plane: PlaneName) {
    this.net = new EngineNetwork(tag, plane);
  }

  async up(): Promise<this> {
    await this.net.up();
    chmodSync(this.#base, 0o755);
    for (const directory of [this.#files, this.#empty]) mkdirSync(directory, 0o755);
    writeFileSync(join(this.#files, "big"), BIG);
    for (const name of NAMES) writeFileSync(join(this.#files, name), `this is ${name}`);
    await Promise.all((["server1", "server2"] as const).map((host) => this.#serve(host)));
    return this;
  }

  async #serve(host: HostName): Promise<void> {
    const conf = join(this.#base, `${host}.conf`);
    writeFileSync(
      conf,
      `listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root=${this.#files}\n` +
        `secure_chroot_dir=${this.#empty}\nseccomp_sandbox=NO\nxferlog_enable=NO\nconnect_from_port_20=YES\n` +
        `port_promiscuous=NO\npasv_promiscuous=NO\nftpd_banner=${host}\n`,
    );
    const child = spawn("ip", ["netns", "exec", this.net.name(host), VSFTPD, conf], { stdio: "ignore" });
    this.#children.push(child);
    const end = Date.now() + 10_000;
    while (!(await this.net.run(host, "ss", "-ltn")).includes(":21 ")) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`vsftpd does not listen on ${host}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /**
   * Fetches files over one control connection; what they hold. The address that PASV tells is believed.
   * @param more options of curl
   */
  async fetch(
    from: HostName,
    server: string,
    names: readonly string[],
    ...more: string[]
  ): Promise<string[]> {
    const urls = names.flatMap((name) => ["-w", SEPARATOR, `ftp://${server}/${name}`]);
    const all = await this.net.run(
      from,
      "curl",
      "-sS",
      "-m",
      "20",
      "--no-ftp-skip-pasv-ip",
      ...more,
      ...urls,
    );
    return all.split(SEPARATOR).slice(0, -1);
  }

  async down(): Promise<void> {
    for (const child of this.#children) child.kill();
    await this.net.down();
    rmSync(this.#base, { recursive: true, force: true });
  }
}
