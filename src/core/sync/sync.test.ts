/**
 * A master director and a backup director, with nothing but messages between them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DirectorBed, destination, service, VIP, VIP6 } from "../../testkit/director-bed.ts";
import { parse, SyncWriter } from "../../wire/sync.ts";
import { FLAG } from "../connections.ts";
import type { Settings } from "../settings.ts";
import type { SyncBackup } from "./backup.ts";
import { SyncMaster } from "./master.ts";

const WEB = service("tcp", VIP, 80);
const DNS = service("udp", VIP, 53);

/** Two directors with the same rules; what the master sends is kept, and handed on by `deliver`. */
class Pair {
  readonly master = new DirectorBed();
  readonly backup = new DirectorBed();
  readonly wire: Uint8Array[] = [];
  readonly sender: SyncMaster;
  readonly receiver: SyncBackup;

  constructor(settings: Partial<Settings> = {}, rules: (bed: DirectorBed) => void = web) {
    for (const bed of [this.master, this.backup]) {
      rules(bed);
      bed.director.change(settings);
    }
    const send = (m: Uint8Array): void => void this.wire.push(m);
    this.sender = this.master.director.startMaster({ syncId: 5, maxLen: 1472, send });
    this.receiver = this.backup.director.backup(5);
  }

  /** Entries that left so far, as text. */
  get sent(): string[] {
    this.sender.flush(this.master.now, true);
    return this.wire.flatMap((bytes) => {
      const m = parse(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)!;
      return m.entries.map(
        (e) => `v${m.version} ${e.flags & FLAG.template ? "template " : ""}${e.clientPort} state ${e.state}`,
      );
    });
  }

  deliver(): void {
    this.sender.flush(this.master.now, true);
    for (const bytes of this.wire.splice(0)) this.receiver.receive(bytes, this.backup.now);
  }

  /** A handshake by NAT, and `data` further packets of the client. */
  connect(port: number, data = 1, server = "10.2.0.11"): void {
    this.master.in(`tcp 10.1.0.2:${port} > ${VIP}:80 S`);
    this.master.through(`tcp ${server}:80 > 10.1.0.2:${port} SA`);
    for (let i = 0; i <= data; i++) this.master.in(`tcp 10.1.0.2:${port} > ${VIP}:80 A`);
  }
}

function web(bed: DirectorBed): void {
  bed.add(WEB).to(WEB, "10.2.0.11");
}

/** Connections as text, in a fixed order. */
function table(bed: DirectorBed): string[] {
  const { connections, tracker, table: rules } = bed.director;
  const rows: string[] = [];
  connections.forEach((c) => {
    const server = rules.server(connections.server(c));
    const kind = connections.flags(c) & FLAG.template ? "template " : "";
    const to = server ? server.spec.address : "nowhere";
    rows.push(
      `${kind}${connections.clientPort(c)} ${tracker.stateName(c)} ${connections.timeoutMs(c) / 1000}s ${to}`,
    );
  });
  return rows.sort();
}

const counts = (bed: DirectorBed, id = WEB): number[] => {
  const [d] = bed.director.table.find(id).destinations;
  return [d.active, d.inactive, d.persistent];
};

describe("when a master announces", () => {
  test("with the defaults: at the third inbound packet, every 50 later, and when the state leaves ESTABLISHED", () => {
    const pair = new Pair();
    pair.connect(1000, 0);
    expect(pair.sent).toEqual([]);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
    expect(pair.sent).toEqual(["v1 1000 state 1"]);
    for (let i = 0; i < 49; i++) pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
    expect(pair.sent).toHaveLength(1);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
    expect(pair.sent).toHaveLength(2);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 FA`);
    expect(pair.sent.at(-1)).toBe("v1 1000 state 7");
  });

  test('with sync_threshold "3 0": once a connection, and state changes', () => {
    const pair = new Pair({ sync_threshold: "3 0" });
    pair.connect(1000, 200);
    expect(pair.sent).toEqual(["v1 1000 state 1"]);
  });

  test("with a refresh period: as often as the expiry time moves by it, not more", () => {
    const pair = new Pair({ sync_threshold: "0 0", sync_refresh_period: 60 });
    pair.connect(1000, 5);
    expect(pair.sent).toHaveLength(1);
    pair.master.wait(59);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
    expect(pair.sent).toHaveLength(1);
    pair.master.wait(1);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
    expect(pair.sent).toHaveLength(2);
  });

  test("a SYN alone is never announced, however often it comes", () => {
    const pair = new Pair();
    for (let i = 0; i < 60; i++) pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 S`);
    expect(pair.sent).toEqual([]);
  });

  const persistent = (bed: DirectorBed): void => {
    bed.add(WEB, { persistent: true, timeoutS: 360 }).to(WEB, "10.2.0.11");
  };

  test("a template is considered with each inbound packet of its connections, and sent with period 50 each time", () => {
    const pair = new Pair({}, persistent);
    pair.connect(1000, 1);
    expect(pair.sent).toEqual([
      "v1 template 0 state 0",
      "v1 template 0 state 1",
      "v1 1000 state 1",
      "v1 template 0 state 1",
    ]);
  });

  test("with sync_persist_mode connections under a template are left to it", () => {
    const pair = new Pair({ sync_persist_mode: 1 }, persistent);
    pair.connect(1000, 1);
    expect(pair.sent.every((e) => e.startsWith("v1 template"))).toBe(true);
  });

  test("version 0 sends IPv4 only, and a template only with its connection", () => {
    const six = service("tcp", VIP6, 80);
    const pair = new Pair({ sync_version: 0, sync_threshold: "1 0" }, (bed) => {
      bed.add(WEB, { persistent: true, timeoutS: 360 }).to(WEB, "10.2.0.11");
      bed.add(six).to(six, "2001:db8:2::11");
    });
    pair.connect(1000, 3);
    pair.master.in(`tcp [2001:db8:1::2]:1000 > [${VIP6}]:80 S`);
    expect(pair.sent).toEqual([]);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 FA`);
    expect(pair.sent[0]).toBe("v0 1000 state 7");
  });

  test("one-packet connections are never announced", () => {
    const pair = new Pair({ sync_threshold: "1 0" }, (bed) => {
      bed.add(DNS, { onePacket: true }).to(DNS, "10.2.0.11", { port: 53 });
    });
    for (let i = 0; i < 5; i++) pair.master.in(`udp 10.1.0.2:1000 > ${VIP}:53`);
    expect(pair.sent).toEqual([]);
  });

  test("with several ports a connection keeps to one", () => {
    const bed = new DirectorBed();
    web(bed);
    bed.director.change({ sync_ports: 4, sync_threshold: "1 2" });
    const ports = new Map<number, Set<number>>();
    const master = bed.director.startMaster({
      syncId: 0,
      maxLen: 44,
      send: (m, port) => {
        const at = new DataView(m.buffer, m.byteOffset, m.length).getUint16(8 + 10);
        ports.set(at, (ports.get(at) ?? new Set()).add(port));
      },
    });
    for (let client = 1; client <= 8; client++) {
      bed.in(`tcp 10.1.0.2:${client} > ${VIP}:80 S`);
      bed.through(`tcp 10.2.0.11:80 > 10.1.0.2:${client} SA`);
      for (let i = 0; i < 5; i++) bed.in(`tcp 10.1.0.2:${client} > ${VIP}:80 A`);
    }
    master.flush(bed.now, true);
    expect(ports.size).toBe(8);
    expect([...ports.values()].every((used) => used.size === 1)).toBe(true);
    expect(new Set([...ports.values()].flatMap((used) => [...used])).size).toBe(4);
  });

  test("a master that is about to end announces those that had too few packets, and no others", () => {
    const pair = new Pair();
    pair.connect(1000, 1);
    pair.connect(1001, 0);
    pair.master.in(`tcp 10.1.0.2:1002 > ${VIP}:80 S`);
    expect(pair.sent).toEqual(["v1 1000 state 1"]);
    pair.wire.length = 0;
    pair.sender.announceYoung();
    expect(pair.sent).toEqual(["v1 1001 state 1"]);
  });

  test("a message leaves when it is full, else after two seconds", () => {
    const pair = new Pair({ sync_threshold: "1 0" }, (bed) =>
      bed.add(DNS).to(DNS, "10.2.0.11", { port: 53 }),
    );
    for (let i = 0; i < 40; i++) pair.master.in(`udp 10.1.0.2:${1000 + i} > ${VIP}:53`);
    // (1472 - 8) / 36
    expect(pair.wire.map((m) => m[4])).toEqual([40]);
    pair.wire.length = 0;
    pair.master.in(`udp 10.1.0.2:2000 > ${VIP}:53`);
    pair.master.wait(1.9);
    expect(pair.wire).toEqual([]);
    pair.master.wait(0.1);
    expect(pair.wire.map((m) => m[4])).toEqual([1]);
  });
});

test("a whole table on its way goes on from the table that is there, and leaves the former one alone", () => {
  const pair = new Pair();
  for (let port = 1000; port < 1010; port++) pair.connect(port);
  const { connections, settings } = pair.master.director;
  let gone = false;
  const former = new Proxy(connections, {
    get(table, name) {
      if (gone) throw new Error(`${String(name)} of a table that is gone`);
      const value: unknown = Reflect.get(table, name);
      return typeof value === "function" ? value.bind(table) : value;
    },
  });
  const context = { connections: former, settings, now: pair.master.now };
  const messages = new SyncMaster(context, { syncId: 5, maxLen: 60, send() {} }).table(4);
  expect(messages.next().done).toBe(false);
  context.connections = connections;
  gone = true;
  expect([...messages]).toHaveLength(9);
});

describe("what a backup does", () => {
  test("it has the connection in the same state, bound to its own destination and counted there", () => {
    const pair = new Pair();
    pair.connect(1000);
    pair.deliver();
    expect(table(pair.backup)).toEqual(["1000 ESTABLISHED 900s 10.2.0.11"]);
    expect(counts(pair.backup)).toEqual([1, 0, 0]);
    expect(pair.backup.director.table.find(WEB).meter.read().conns).toBe(0);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 FA`);
    pair.deliver();
    expect(table(pair.backup)).toEqual(["1000 CLOSE_WAIT 60s 10.2.0.11"]);
    expect(counts(pair.backup)).toEqual([0, 1, 0]);
    pair.backup.wait(61);
    expect(table(pair.backup)).toEqual([]);
    expect(counts(pair.backup)).toEqual([0, 0, 0]);
  });

  test("the connection goes on there: the next packet of the client reaches the same server", () => {
    const pair = new Pair();
    pair.connect(1000);
    pair.deliver();
    expect(pair.backup.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`)).toEqual([
      "10.2.0.11 < tcp 10.1.0.2:1000 > 10.2.0.11:80 A",
    ]);
  });

  test("templates keep their timeout, and lead new connections of the client", () => {
    const pair = new Pair({}, (bed) => {
      bed.add(WEB, { persistent: true, timeoutS: 500 }).to(WEB, "10.2.0.11").to(WEB, "10.2.0.12");
    });
    pair.connect(1000, 1, "10.2.0.12");
    pair.deliver();
    expect(table(pair.backup)).toEqual([
      "1000 ESTABLISHED 900s 10.2.0.12",
      "template 0 ASSURED 500s 10.2.0.12",
    ]);
    for (let port = 2000; port < 2004; port++) {
      expect(pair.backup.in(`tcp 10.1.0.2:${port} > ${VIP}:80 S`)[0]).toMatch(/^10\.2\.0\.12 </);
    }
  });

  const LATER = [
    ["nat", "10.2.0.11 < tcp 10.1.0.2:1000 > 10.2.0.11:80 A"],
    ["dr", `10.2.0.11 < tcp 10.1.0.2:1000 > ${VIP}:80 A`],
    ["tun", `10.2.0.11 < ipip 10.2.0.1 > 10.2.0.11 [ tcp 10.1.0.2:1000 > ${VIP}:80 A ]`],
  ] as const;
  test.each(LATER)(
    "a connection to a server that is not in the table yet is bound when it is added: %s forwards then",
    (method, packet) => {
      const persistent = (bed: DirectorBed): void => {
        bed.add(WEB, { persistent: true, timeoutS: 360 }).to(WEB, "10.2.0.11", { method });
      };
      const pair = new Pair({}, persistent);
      const { table: rules } = pair.backup.director;
      rules.removeService(WEB);
      pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 S`);
      for (let i = 0; i < 3; i++) pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
      pair.deliver();
      expect(table(pair.backup)).toEqual([
        expect.stringMatching(/^1000 \w+ \d+s nowhere$/),
        expect.stringMatching(/^template 0 \w+ 360s nowhere$/),
      ]);
      pair.backup.add(WEB, { persistent: true, timeoutS: 360 });
      pair.backup.to(WEB, "10.2.0.12", { method });
      expect(table(pair.backup).join()).not.toContain("10.2.0.12");
      pair.backup.to(WEB, "10.2.0.11", { method });
      expect(table(pair.backup).every((row) => row.endsWith("10.2.0.11"))).toBe(true);
      const added = rules.find(WEB).destinations.find((d) => d.spec.address === "10.2.0.11")!;
      expect([added.active + added.inactive, added.persistent]).toEqual([1, 1]);
      expect(pair.backup.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`)).toEqual([packet]);
      pair.backup.wait(1000);
      expect(table(pair.backup)).toEqual([]);
      expect([added.active, added.inactive, added.persistent]).toEqual([0, 0, 0]);
    },
  );

  test("while lost connections are awaited their packets are dropped, new ones are served, and what is known here stays", () => {
    const pair = new Pair({}, (bed) => bed.add(WEB).to(WEB, "10.2.0.11").to(WEB, "10.2.0.12"));
    pair.connect(1000, 1, "10.2.0.12");
    pair.connect(1001, 1, "10.2.0.11");
    const { backup } = pair;
    backup.director.awaiting = true;
    const lost = `tcp 10.1.0.2:1000 > ${VIP}:80 A`;
    expect(backup.in(lost)).toEqual([]);
    expect(backup.through("tcp 10.2.0.12:80 > 10.1.0.2:1000 A")).toEqual([]);
    expect(backup.in(`tcp 10.1.0.2:1000 > ${VIP}:81 A`)).toEqual(["accept"]);
    expect(backup.through("tcp 10.2.0.99:80 > 10.1.0.2:1000 A")).toEqual(["accept"]);
    // The client of the second one has begun anew meanwhile.
    expect(backup.in(`tcp 10.1.0.2:1001 > ${VIP}:80 S`)).toHaveLength(1);
    const receiver = backup.director.backup(0, true);
    for (const bytes of pair.sender.table(100)) receiver.receive(bytes, backup.now);
    backup.director.awaiting = false;
    expect(receiver.counts.created).toBe(1);
    expect(table(backup)).toEqual(["1000 ESTABLISHED 900s 10.2.0.12", "1001 SYN_RECV 60s 10.2.0.12"]);
    expect(backup.in(lost)).toEqual(["10.2.0.12 < tcp 10.1.0.2:1000 > 10.2.0.12:80 A"]);
    expect(backup.in(`tcp 10.1.0.2:1003 > ${VIP}:80 A`)).toEqual(["accept"]);
  });

  test("what ended before its server was added stays ended, and its slot is another's", () => {
    const pair = new Pair();
    pair.backup.director.table.removeDestination(WEB, { family: 4, address: "10.2.0.11", port: 80 });
    pair.connect(1000);
    pair.deliver();
    expect(table(pair.backup)).toEqual(["1000 ESTABLISHED 900s nowhere"]);
    pair.backup.wait(901);
    pair.backup.to(WEB, "10.2.0.12");
    pair.backup.in(`tcp 10.1.0.9:2000 > ${VIP}:80 S`);
    pair.backup.to(WEB, "10.2.0.11");
    expect(table(pair.backup)).toEqual(["2000 SYN_RECV 60s 10.2.0.12"]);
    expect(pair.backup.director.table.find(WEB).destinations.map((d) => d.active + d.inactive)).toEqual([
      0, 1,
    ]);
  });

  test("a connection that went on without its server is counted by its state once there is one", () => {
    const pair = new Pair();
    const { table: rules } = pair.backup.director;
    rules.removeDestination(WEB, { family: 4, address: "10.2.0.11", port: 80 });
    pair.connect(1000);
    pair.deliver();
    pair.backup.in(`tcp 10.1.0.2:1000 > ${VIP}:80 FA`);
    expect(table(pair.backup)).toEqual(["1000 CLOSE_WAIT 60s nowhere"]);
    pair.backup.to(WEB, "10.2.0.11");
    expect(counts(pair.backup)).toEqual([0, 1, 0]);
  });

  test("the backup's forwarding method counts, not the master's", () => {
    const pair = new Pair({}, (bed) => void bed.add(WEB));
    pair.master.to(WEB, "10.2.0.11");
    pair.backup.to(WEB, "10.2.0.11", { method: "dr" });
    pair.connect(1000);
    pair.deliver();
    const { connections } = pair.backup.director;
    connections.forEach((c) => {
      expect(connections.flags(c) & (FLAG.methodMask | FLAG.noOutput)).toBe(3 | FLAG.noOutput);
    });
  });

  test("the same ends with another server: an active one replaces what is here, an inactive one is ignored", () => {
    const pair = new Pair({}, (bed) => bed.add(WEB).to(WEB, "10.2.0.11").to(WEB, "10.2.0.12"));
    pair.connect(1000, 1, "10.2.0.12");
    pair.deliver();
    const other = new Pair({}, (bed) => bed.add(WEB).to(WEB, "10.2.0.11"));
    other.connect(1000);
    for (const bytes of [...other.wire, ...take(other)]) pair.receiver.receive(bytes, pair.backup.now);
    pair.backup.wait(0.2);
    expect(table(pair.backup)).toEqual(["1000 ESTABLISHED 900s 10.2.0.11"]);
    pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 FA`);
    pair.deliver();
    expect(table(pair.backup)).toEqual(["1000 ESTABLISHED 900s 10.2.0.11"]);
  });

  test("version 0 tells no timeout: the state's own, and 180 s for templates", () => {
    const pair = new Pair({ sync_version: 0 }, (bed) => {
      bed.add(WEB, { persistent: true, timeoutS: 500 }).to(WEB, "10.2.0.11");
    });
    pair.connect(1000);
    pair.deliver();
    expect(table(pair.backup)).toEqual([
      "1000 ESTABLISHED 900s 10.2.0.11",
      "template 0 ASSURED 180s 10.2.0.11",
    ]);
  });

  test("messages of another syncid, garbage and impossible entries are counted and change nothing", () => {
    const pair = new Pair();
    const other = pair.backup.director.backup(6);
    pair.connect(1000);
    const [bytes] = take(pair);
    other.receive(bytes, 0);
    expect(other.counts).toMatchObject({ refused: 1, created: 0 });
    pair.receiver.receive(bytes.slice(0, -1), 0);
    pair.receiver.receive(new Uint8Array(), 0);
    expect(pair.receiver.counts).toMatchObject({ refused: 2, created: 0 });
    const bad = bytes.slice();
    bad[8 + 9] = 99; // state
    pair.receiver.receive(bad, 0);
    expect(pair.receiver.counts).toMatchObject({ ignored: 1, created: 0 });
    expect(table(pair.backup)).toEqual([]);
  });
});

function take(pair: Pair): Uint8Array[] {
  pair.sender.flush(pair.master.now, true);
  return pair.wire.splice(0);
}

test("sequence adjustment and persistence engine data arrive", () => {
  const pair = new Pair();
  pair.connect(1000);
  const { connections } = pair.master.director;
  connections.forEach((c) => {
    connections.rareData(c, true)!.sequence = [undefined, { initial: 7, delta: -3, previousDelta: 2 }];
  });
  for (let i = 0; i < 50; i++) pair.master.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A`);
  pair.deliver();
  const there = pair.backup.director.connections;
  there.forEach((c) => {
    expect(there.rareData(c)?.sequence).toEqual([undefined, { initial: 7, delta: -3, previousDelta: 2 }]);
  });
  expect(there.count).toBe(1);
});

describe("by full-NAT", () => {
  const rules = (bed: DirectorBed): void => {
    bed.add(WEB).to(WEB, "10.2.0.11", { method: "fullnat" });
  };
  /** The connection of a client's port, with its local end and sequence numbers. */
  const ends = (bed: DirectorBed, clientPort: number): unknown => {
    const { connections } = bed.director;
    let found: unknown;
    connections.forEach((c) => {
      if (connections.clientPort(c) === clientPort)
        found = [connections.localPort(c), connections.sequenceDelta(c), connections.serverIsn(c)];
    });
    return found;
  };
  const connect = (pair: Pair, port: number): number => {
    pair.master.in(`tcp 10.1.0.2:${port} > ${VIP}:80 S seq=9`);
    const [local, shift] = ends(pair.master, port) as [number, number];
    pair.master.in(`tcp 10.2.0.11:80 > 10.2.0.1:${local} SA seq=500 ack=${(10 + shift) >>> 0}`);
    for (let i = 0; i < 2; i++) pair.master.in(`tcp 10.1.0.2:${port} > ${VIP}:80 A seq=10 ack=501`);
    return local;
  };

  test("a connection goes on from its local end, in its numbers, and its port is nobody else's", () => {
    const pair = new Pair({}, rules);
    const local = connect(pair, 1000);
    pair.deliver();
    expect(ends(pair.backup, 1000)).toEqual(ends(pair.master, 1000));
    const [, shift] = ends(pair.backup, 1000) as [number, number];
    expect(pair.backup.in(`tcp 10.1.0.2:1000 > ${VIP}:80 A seq=20 ack=600`)).toEqual([
      `10.2.0.11 < tcp 10.2.0.1:${local} > 10.2.0.11:80 A seq=${(20 + shift) >>> 0} ack=600`,
    ]);
    expect(
      pair.backup.in(`tcp 10.2.0.11:80 > 10.2.0.1:${local} A seq=600 ack=${(20 + shift) >>> 0}`),
    ).toEqual([`10.1.0.2 < tcp ${VIP}:80 > 10.1.0.2:1000 A seq=600 ack=20`]);
    for (let port = 2000; port < 2400; port++) {
      pair.backup.in(`tcp 10.1.0.2:${port} > ${VIP}:80 S`);
      expect((ends(pair.backup, port) as number[])[0]).not.toBe(local);
    }
  });

  test("who has the local end of a newer connection gives it up, but not for one that ends, nor in a recovery", () => {
    const pair = new Pair({}, rules);
    connect(pair, 1000);
    const [first] = take(pair);
    connect(pair, 1001);
    const [second] = take(pair);
    // The same local end as that of the first: its port at 44 of header and entry, behind two words of the option.
    const at = 8 + 36 + 2;
    second.set(first.subarray(at, at + 2), at);
    pair.receiver.receive(first, 0);
    const ending = second.slice();
    ending[8 + 6] = 0x01; // inactive
    ending[8 + 9] = 4; // FIN_WAIT
    pair.receiver.receive(ending, 0);
    pair.backup.director.backup(5, true).receive(second, 0);
    expect(table(pair.backup)).toEqual(["1000 ESTABLISHED 900s 10.2.0.11"]);
    pair.receiver.receive(second, 0);
    expect(table(pair.backup)).toEqual(["1001 ESTABLISHED 900s 10.2.0.11"]);
    expect(counts(pair.backup)).toEqual([1, 0, 0]);
    // The same client with another local end: a new connection.
    second[at]! ^= 1;
    pair.receiver.receive(second, 0);
    pair.backup.wait(0.2);
    expect(table(pair.backup)).toHaveLength(1);
    expect(ends(pair.backup, 1001)).toEqual([
      new DataView(second.buffer, second.byteOffset).getUint16(at),
      expect.anything(),
      501,
    ]);
  });

  test("without its local end a connection is not taken, nor by a server that has another method here", () => {
    const pair = new Pair({}, rules);
    connect(pair, 1000);
    const [message] = take(pair);
    const bare = new SyncWriter(1, 5, 1472);
    const [entry] = parse(new DataView(message.buffer, message.byteOffset), 0, message.length)!.entries;
    bare.add({ ...entry!, local: undefined });
    pair.receiver.receive(bare.take(), 0);
    expect(pair.receiver.counts).toMatchObject({ ignored: 1, created: 0 });
    const other = new Pair();
    other.receiver.receive(message, 0);
    expect(table(other.backup)).toEqual(["1000 ESTABLISHED 900s nowhere"]);
  });

  test("version 0 cannot tell of it", () => {
    const pair = new Pair({ sync_version: 0 }, rules);
    connect(pair, 1000);
    expect(pair.sent).toEqual([]);
  });
});

test("an FTP control connection is watched at the backup; further shifts of its stream are announced at once", () => {
  const ftp = service("tcp", VIP, 21);
  const pair = new Pair({}, (bed) => void bed.add(ftp).to(ftp, "10.2.0.11", { port: 21 }));
  const client = (bed: DirectorBed, body: string): string[] =>
    bed.in(`tcp 10.1.0.2:1000 > ${VIP}:21 ${body}`);
  const server = (bed: DirectorBed, body: string): string[] =>
    bed.through(`tcp 10.2.0.11:21 > 10.1.0.2:1000 ${body}`);
  client(pair.master, "S seq=9");
  server(pair.master, "SA seq=500 ack=10");
  for (let i = 0; i < 2; i++) client(pair.master, "A seq=10 ack=501");
  pair.deliver();
  client(pair.backup, 'PA seq=10 ack=501 data="PASV\\r\\n"');
  expect(server(pair.backup, 'PA seq=501 ack=16 data="227 (10,2,0,11,4,1)\\r\\n"')[0]).toContain(
    "10,9,0,1,4,1",
  );
  client(pair.master, 'PA seq=10 ack=501 data="PASV\\r\\n"');
  expect(pair.sent).toEqual([]);
  const passive = 'PA seq=501 ack=16 data="227 (10,2,0,11,4,1)\\r\\n"';
  server(pair.master, passive);
  expect(pair.sent).toEqual(["v1 1000 state 1"]);
  // Sent again it changes nothing.
  server(pair.master, passive);
  expect(pair.sent).toHaveLength(1);
});

test("whatever a hostile sender writes, counts of the destinations stay those of the connections", () => {
  const pair = new Pair({}, (bed) => bed.add(WEB).to(WEB, "10.2.0.11").to(WEB, "10.2.0.12"));
  const local = fc.record({ port: fc.integer({ min: 0, max: 3 }), last: fc.integer({ min: 1, max: 2 }) });
  const entry = fc.record({
    local: fc.option(local, { nil: undefined, freq: 2 }),
    flags: fc.integer({ min: 0, max: 0xffff }),
    state: fc.integer({ min: 0, max: 12 }),
    clientPort: fc.integer({ min: 1, max: 4 }),
    server: fc.constantFrom(11, 12, 13),
    timeoutS: fc.constantFrom(0, 1, 900, 0xffffffff),
    wait: fc.constantFrom(0, 0.5, 2),
    third: fc.constantFrom("stays", "comes or goes"),
  });
  const third = destination("10.2.0.13");
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), (entries) => {
      for (const e of entries) {
        const writer = new SyncWriter(1, 5, 1472);
        writer.add({
          family: 4,
          protocol: 6,
          flags: e.flags,
          state: e.state,
          clientPort: e.clientPort,
          virtualPort: 80,
          destinationPort: 80,
          fwmark: 0,
          timeoutS: e.timeoutS,
          client: Uint8Array.of(10, 1, 0, 2),
          virtual: Uint8Array.of(10, 9, 0, 1),
          destination: Uint8Array.of(10, 2, 0, e.server),
          local: e.local && {
            address: Uint8Array.of(10, 2, 0, e.local.last),
            port: e.local.port,
            shift: 7,
            serverIsn: undefined,
          },
        });
        pair.receiver.receive(writer.take(), pair.backup.now);
        if (e.wait) pair.backup.wait(e.wait);
        if (e.third === "stays") continue;
        const there = pair.backup.director.table
          .find(WEB)
          .destinations.some((d) => d.spec.address === third.address);
        if (there) pair.backup.director.table.removeDestination(WEB, third);
        else pair.backup.director.table.addDestination(WEB, third);
      }
      const { connections, table: rules } = pair.backup.director;
      const found = new Map(rules.find(WEB).destinations.map((d) => [d.index, [0, 0, 0]]));
      connections.forEach((c) => {
        const flags = connections.flags(c);
        const count = found.get(connections.server(c));
        if (count) count[flags & FLAG.template ? 2 : flags & FLAG.inactive ? 1 : 0]++;
      });
      for (const d of rules.find(WEB).destinations) {
        expect([d.active, d.inactive, d.persistent]).toEqual(found.get(d.index));
      }
    }),
  );
});
