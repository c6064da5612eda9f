// src/control/vrrp/spec.ts
var NO_VRRP = {
  instances: [],
  groups: [],
  scripts: [],
  files: [],
  processes: [],
  staticAddresses: [],
  staticRoutes: [],
  staticRules: [],
  startupDelayMs: 0,
  linkDelays: [],
  dynamicInterfaces: false,
  logUnknownIds: false
};

// src/testkit/vrrp-spec.ts
var at = { file: "test.conf", line: 1, column: 1 };
function virtualAddress(text, over = {}) {
  const [address, prefix] = text.split("/");
  const family = address.includes(":") ? 6 : 4;
  return {
    family,
    address,
    prefix: prefix === void 0 ? family === 4 ? 32 : 128 : Number(prefix),
    device: "v0",
    scope: 0,
    flags: [],
    noTrack: false,
    at,
    ...over
  };
}
function vrrpInstance(over = {}) {
  const family = over.family ?? 4;
  const device = over.interface ?? "v0";
  const addresses = family === 4 ? [virtualAddress("192.0.2.100/24", { device })] : [virtualAddress("fe80::5:1/64", { device }), virtualAddress("2001:db8::100/64", { device })];
  return {
    name: "VI",
    family,
    initial: "backup",
    interface: device,
    routerId: 51,
    priority: 100,
    version: family === 4 ? 2 : 3,
    advertIntMs: 1e3,
    addresses,
    excluded: [],
    routes: [],
    rules: [],
    trackSource: false,
    group: family === 4 ? "224.0.0.18" : "ff02::12",
    peers: [],
    unicastTtl: 255,
    checkUnicastSource: false,
    trackInterfaces: [],
    trackScripts: [],
    trackFiles: [],
    trackProcesses: [],
    dontTrackPrimary: false,
    preempt: true,
    preemptDelayMs: 0,
    accept: true,
    strict: false,
    skipCheckAdvAddr: false,
    announce: {
      delayMs: 5e3,
      repeat: 5,
      refreshMs: 0,
      refreshRepeat: 1,
      lowerPrioDelayMs: 5e3,
      lowerPrioRepeat: 5,
      arpIntervalMs: 0,
      naIntervalMs: 0
    },
    downTimerAdverts: 3,
    lowerPrioNoAdvert: false,
    higherPrioSendAdvert: false,
    checksumWithoutPseudoHeader: false,
    promoteSecondaries: false,
    notify: {},
    notifyPriorityChanges: false,
    smtpAlert: false,
    at,
    ...over
  };
}
var vrrpSpec = (instances, over = {}) => ({
  ...NO_VRRP,
  instances,
  ...over
});

// test/e2e/vrrp-bed.ts
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
var run = promisify(execFile);
var KEEPALIVED = "/usr/sbin/keepalived";
var PROGRAM = process.env["LVSD_VRRP"] ?? join(import.meta.dirname, "../../dist/lvsd-vrrp.cjs");
var PATIENCE_MS = 3e4;
var pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, condition, ms = PATIENCE_MS) {
  const end2 = performance.now() + ms;
  while (!await condition()) {
    if (performance.now() > end2) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await pause(50);
  }
}
var environment = (extra) => ({
  ...process.env,
  NODE_EXTRA_CA_CERTS: "",
  ...extra
});
async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  await gone;
}
var Lvsd = class {
  events = [];
  #statuses = [];
  child;
  /** Its specification; read again at SIGHUP. */
  file;
  output = "";
  constructor(ns, file, args) {
    this.file = file;
    this.child = spawn("ip", ["netns", "exec", ns, process.execPath, PROGRAM, "--spec", file, ...args], {
      env: environment({})
    });
    let rest = "";
    this.child.stdout.on("data", (chunk) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const message = JSON.parse(line);
        if (message.kind === "event") this.events.push(message.event);
        if (message.kind === "status") this.#statuses.push(message.status);
      }
    });
    this.child.stderr.on("data", (chunk) => {
      this.output += chunk.toString();
    });
  }
  /** The state an instance told last. */
  state(instance = "VI") {
    const told = this.events.filter((e) => e.kind === "state" && e.instance === instance).at(-1);
    return told?.kind === "state" ? told.to : "init";
  }
  said(text) {
    return this.events.some((e) => typeof text === "string" ? e.text.includes(text) : text.test(e.text));
  }
  async status() {
    const before = this.#statuses.length;
    this.child.kill("SIGUSR1");
    await until("status", () => this.#statuses.length > before);
    return this.#statuses.at(-1);
  }
  /** Ends it: SIGTERM politely, SIGKILL not. */
  stop(signal = "SIGTERM") {
    return end(this.child, signal);
  }
};
var Keepalived = class {
  child;
  #directory;
  log = "";
  constructor(ns, conf, directory) {
    this.#directory = directory;
    const args = [
      "-n",
      "-l",
      "-G",
      "-D",
      "-P",
      "-f",
      conf,
      "-p",
      join(directory, "k.pid"),
      "-r",
      join(directory, "kv.pid")
    ];
    this.child = spawn("ip", ["netns", "exec", ns, KEEPALIVED, ...args], {
      env: environment({ TMPDIR: directory })
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on("data", (chunk) => {
        this.log += chunk.toString();
      });
  }
  /** The state an instance logged last. */
  state(instance = "VI") {
    const all = [...this.log.matchAll(/\((\w+)\) Entering (\w+) STATE/g)].filter((m) => m[1] === instance);
    return all.at(-1)?.[2].toLowerCase() ?? "init";
  }
  async stop() {
    await end(this.child, "SIGTERM");
  }
  /** Both of its processes at once, without a word. */
  async kill() {
    const pids = ["kv.pid", "k.pid"].map((f) => Number(readFileSync(join(this.#directory, f), "utf8")));
    const gone = end(this.child, "SIGKILL");
    try {
      process.kill(pids[0], "SIGKILL");
    } catch {
    }
    await gone;
  }
};
var beds = 0;
var Bed = class _Bed {
  a;
  b;
  directory;
  #running = [];
  #files = 0;
  constructor() {
    const name = `lv${process.pid}v${beds++}`;
    this.a = `${name}a`;
    this.b = `${name}b`;
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
  }
  static async make() {
    const bed2 = new _Bed();
    try {
      for (const ns of [bed2.a, bed2.b]) await run("ip", ["netns", "add", ns]);
      for (const [device, net] of [
        ["v0", "192.0.2"],
        ["v1", "198.51.100"]
      ]) {
        await run("ip", [
          "link",
          "add",
          device,
          "netns",
          bed2.a,
          "type",
          "veth",
          "peer",
          "name",
          device,
          "netns",
          bed2.b
        ]);
        for (const [ns, n] of [
          [bed2.a, 1],
          [bed2.b, 2]
        ]) {
          await bed2.in(
            ns,
            "sysctl",
            "-qw",
            `net.ipv6.conf.${device}.accept_dad=0`,
            `net.ipv6.conf.${device}.addr_gen_mode=1`
          );
          await run("ip", ["-n", ns, "link", "set", device, "up"]);
          await run("ip", ["-n", ns, "addr", "add", `${net}.${n}/24`, "dev", device]);
          await run("ip", ["-n", ns, "addr", "add", `fe80::${n}/64`, "dev", device, "nodad"]);
          if (device === "v0")
            await run("ip", ["-n", ns, "addr", "add", `2001:db8::${n}/64`, "dev", device, "nodad"]);
        }
      }
      for (const ns of [bed2.a, bed2.b]) await run("ip", ["-n", ns, "link", "set", "lo", "up"]);
      return bed2;
    } catch (error) {
      await bed2.remove();
      throw error;
    }
  }
  /** Runs a command in a namespace: its output. */
  async in(ns, ...command) {
    const { stdout } = await run("ip", ["netns", "exec", ns, ...command]);
    return stdout;
  }
  async has(ns, address, device = "v0") {
    const { stdout } = await run("ip", ["-n", ns, "-o", "addr", "show", "dev", device]);
    return stdout.includes(` ${address}/`);
  }
  /** Starts lvsd in a namespace. */
  lvsd(ns, spec, ...args) {
    const whole = "instances" in spec ? spec : vrrpSpec(spec);
    const started = new Lvsd(ns, this.write(whole), args);
    this.#running.push(started);
    return started;
  }
  write(spec) {
    const file = join(this.directory, `${this.#files++}.json`);
    writeFileSync(file, JSON.stringify(spec));
    return file;
  }
  /** Starts keepalived in a namespace with these instances. */
  keepalived(ns, instances, extra = "") {
    const directory = mkdtempSync(join(this.directory, "k"));
    const conf = join(directory, "keepalived.conf");
    writeFileSync(conf, `${instances.map(keepalivedConf).join("\n")}
${extra}
`);
    const started = new Keepalived(ns, conf, directory);
    this.#running.push(started);
    return started;
  }
  /** Lets no VRRP packet arrive on either side, or lets them again. */
  async split(cut) {
    for (const ns of [this.a, this.b]) {
      if (!cut) await this.in(ns, "nft", "delete table inet cut");
      else
        await this.in(
          ns,
          "nft",
          "table inet cut { chain i { type filter hook input priority 0; meta l4proto { 51, 112 } drop; }; }"
        );
    }
  }
  async remove() {
    for (const p of this.#running) await p.stop().catch(() => {
    });
    for (const ns of [this.a, this.b]) await run("ip", ["netns", "del", ns]).catch(() => {
    });
    rmSync(this.directory, { recursive: true, force: true });
  }
};
function keepalivedConf(i) {
  const address = (a) => `        ${a.address}/${a.prefix} dev ${a.device}${a.family === 6 ? " " : ""}`;
  return `vrrp_instance ${i.name} {
    version ${i.version}
    state BACKUP
    interface ${i.interface}
    virtual_router_id ${i.routerId}
    priority ${i.priority}
    advert_int ${i.advertIntMs / 1e3}
    ${i.vmac ? `use_vmac${i.vmac.xmitBase ? "\n    vmac_xmit_base" : ""}` : ""}
    ${i.higherPrioSendAdvert ? "higher_prio_send_advert yes" : ""}
    garp_master_delay ${i.announce.delayMs / 1e3}
    ${i.preempt ? "" : "nopreempt"}
    ${i.auth ? `authentication {
 auth_type ${i.auth.type.toUpperCase()}
 auth_pass ${i.auth.password}
 }` : ""}
    ${i.sourceAddress ? `unicast_src_ip ${i.sourceAddress}` : ""}
    ${i.peers.length > 0 ? `unicast_peer {
${i.peers.map((p) => p.address).join("\n")}
 }` : ""}
    virtual_ipaddress {
${i.addresses.map(address).join("\n")}
    }
    ${i.excluded.length > 0 ? `virtual_ipaddress_excluded {
${i.excluded.map(address).join("\n")}
 }` : ""}
}`;
}

// ../../tmp/r3-ah.ts
var bed = await Bed.make();
try {
  const auth = { type: "ah", password: "secret" };
  const k = bed.keepalived(bed.b, [vrrpInstance({ auth, priority: 100 })]);
  const l = bed.lvsd(bed.a, [vrrpInstance({ auth, priority: 150 })]);
  await until("master", () => l.state() === "master");
  const t = Date.now();
  await until("k backup", () => k.state() === "backup", 8e3).catch(console.log);
  console.log("after", Date.now() - t);
  await pause(3e3);
  console.log(k.log.split("\n").slice(-25).join("\n"));
  for (const e of l.events) console.log(e.atMs, e.text);
} finally {
  await bed.remove();
}
