/** SIP user agents of a few lines, and real datagrams: calls keep their server, and servers call clients, through the eBPF plane. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { EngineNetwork } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of SIP on the eBPF plane are left out: ${missing}`);

/** Answers every message with its Call-ID and its own name; CALL makes it call the client's port 6000. */
const SERVER = `
const name = process.argv[1];
const s = require("node:dgram").createSocket("udp4");
const idOf = (text) => /^(?:Call-ID|i): *(.*)\\r$/m.exec(text)?.[1];
s.on("message", (m, from) => {
  const text = String(m), id = idOf(text);
  if (text.startsWith("CALL"))
    s.send("INVITE sip:client SIP/2.0\\r\\nServer: " + name + "\\r\\nCall-ID: from-" + name + "\\r\\n\\r\\n", 6000, "10.1.0.2");
  else s.send("SIP/2.0 200 OK\\r\\nServer: " + name + "\\r\\nCall-ID: " + id + "\\r\\n\\r\\n", from.port, from.address);
});
s.bind(5060, "0.0.0.0", () => console.log("ready"));
`;

/** Sends messages one after the other, each from its port; prints who answered, and from where. */
const CLIENT = `
const messages = JSON.parse(process.argv[1]), told = [];
const next = () => {
  const m = messages.shift();
  if (!m) { console.log(JSON.stringify(told)); process.exit(); }
  const s = require("node:dgram").createSocket("udp4");
  const rest = "X: " + "y".repeat(m.more ?? 0) + "\\r\\n\\r\\n";
  const timer = setTimeout(() => { told.push("nobody"); s.close(); next(); }, 1000);
  s.on("message", (a, from) => {
    clearTimeout(timer);
    told.push(/Server: (.*)\\r/.exec(String(a))[1] + " " + from.address);
    s.close(next);
  });
  s.bind(m.port, "10.1.0.2", () =>
    s.send((m.start ?? "INVITE sip:x SIP/2.0") + "\\r\\nVia: a\\r\\n" + (m.id ? "Call-ID: " + m.id + "\\r\\n" : "") + rest, 5060, "10.1.0.100"));
};
next();
`;

/** Waits for a call at port 6000, answers it, and tells who called, and who answered the answer. */
const CALLED = `
const s = require("node:dgram").createSocket("udp4"), told = [];
s.on("message", (m, from) => {
  told.push(/Server: (.*)\\r/.exec(String(m))[1] + " " + from.address + ":" + from.port);
  if (told.length === 2) { console.log(JSON.stringify(told)); process.exit(); }
  const id = /Call-ID: (.*)\\r/.exec(String(m))[1];
  s.send("SIP/2.0 180 Ringing\\r\\nCall-ID: " + id + "\\r\\n\\r\\n", 5060, "10.1.0.100");
});
s.bind(6000, "10.1.0.2", () =>
  require("node:dgram").createSocket("udp4").send("CALL", 5060, process.argv[1]));
setTimeout(() => { console.log(JSON.stringify(told)); process.exit(1); }, 5000);
`;

interface Message {
  readonly port: number;
  readonly id?: string;
  readonly more?: number;
  readonly start?: string;
}

describe.skipIf(missing)("SIP through the eBPF plane", () => {
  const net = new EngineNetwork("c", "ebpf");
  const servers: ChildProcess[] = [];
  beforeAll(async () => {
    await net.up();
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    for (const host of ["server1", "server2"] as const) {
      const args = ["netns", "exec", net.name(host), process.execPath, "-e", SERVER, host];
      const server = spawn("ip", args, { env: { ...process.env, NODE_EXTRA_CA_CERTS: "" } });
      servers.push(server);
      await new Promise((resolve) => server.stdout.once("data", resolve));
    }
    await net.ipvsadm("-A -u 10.1.0.100:5060 -s rr -p 300 --pe sip -o");
    for (const n of [1, 2]) await net.ipvsadm(`-a -u 10.1.0.100:5060 -r 10.2.0.1${n}:5060 -m`);
  });
  afterAll(async () => {
    for (const server of servers) server.kill();
    await net.down();
  });
  const ask = async (...messages: Message[]): Promise<string[]> =>
    JSON.parse(await net.run("client", process.execPath, "-e", CLIENT, JSON.stringify(messages)));

  test("calls keep their server whatever port they come from, and the answers come from the VIP", async () => {
    const calls = ["a@x", "b@x", "c@x", "d@x"].map((id, i) => ({ id, port: 5000 + i }));
    const first = await ask(...calls);
    expect(new Set(first)).toEqual(new Set(["server1 10.1.0.100", "server2 10.1.0.100"]));
    expect(await ask(...calls.map(({ id }, i) => ({ id, port: 5100 + i })))).toEqual(first);
    expect(await ask(...calls.map(({ id }) => ({ id, port: 5200, start: "BYE sip:x SIP/2.0" })))).toEqual(
      first,
    );
    expect(await ask({ port: 5000 })).toEqual(["nobody"]);
  });

  test("the list of connections shows the templates with their Call-IDs", async () => {
    const rows = (await net.ipvsadm("-Lnc --persistent-conn")).split("\n").filter((r) => r.startsWith("UDP"));
    const shown = rows.map((row) => row.trim().split(/\s+/).slice(3));
    expect(shown.sort((a, b) => (a[4]! < b[4]! ? -1 : 1)).map((row) => row.join(" "))).toEqual(
      ["a@x", "b@x", "c@x", "d@x"].map((id) =>
        expect.stringMatching(`^10.1.0.2:0 10.1.0.100:5060 10.2.0.1[12]:5060 sip ${id}$`),
      ),
    );
  });

  test("a server calls the client from the VIP, and the answer finds that server", async () => {
    for (const n of [1, 2]) {
      const told = await net.run("client", process.execPath, "-e", CALLED, `10.2.0.1${n}`);
      expect(JSON.parse(told)).toEqual([`server${n} 10.1.0.100:5060`, `server${n} 10.1.0.100:5060`]);
    }
  });

  test("without one-packet scheduling a call has a connection, whose datagrams may come in fragments", async () => {
    await net.ipvsadm("-E -u 10.1.0.100:5060 -s rr -p 300 --pe sip");
    const [one] = await ask({ id: "e@x", port: 5300 });
    expect(await ask({ id: "e@x", port: 5300, more: 4000 }, { id: "e@x", port: 5301 })).toEqual([one, one]);
    const rows = await net.ipvsadm("-Lnc");
    expect(rows).toMatch(/UDP {2}.*10\.1\.0\.2:5300 +10\.1\.0\.100:5060/);
  });
});
