import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { FRAME, FrameStream, MAGIC, NONCE_LEN } from "./frames.ts";
import { readSyncKey } from "./key.ts";
import { PeerClient, type PeerReport } from "./peer-client.ts";
import { PeerServer } from "./peer-server.ts";

const KEY = Buffer.from("0123456789abcdef0123456789abcdef");
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const MESSAGES = Array.from({ length: 500 }, (_, i) => Buffer.alloc(1400, i));

async function serve(syncId = 7): Promise<number> {
  const server = new PeerServer(KEY, {
    syncId,
    messages: () => MESSAGES,
    report: () => ({ messages: 3, entries: 2 ** 40, connections: 500 }),
  });
  open.push(server);
  return server.listen("127.0.0.1", 0);
}

/** Everything the peer says until it reports, or why the connection ended. */
function ask(
  port: number,
  key = KEY,
  syncId = 7,
): Promise<{ got: Buffer[]; complete: number; report: PeerReport } | string> {
  return new Promise((resolve) => {
    const got: Buffer[] = [];
    let complete = -1;
    open.push(
      new PeerClient(key, "127.0.0.1", port, syncId, {
        message: (bytes) => got.push(Buffer.from(bytes)),
        complete: (n) => {
          complete = n;
        },
        report: (report) => {
          if (complete >= 0) resolve({ got, complete, report });
        },
        closed: resolve,
      }),
    );
  });
}

describe("a peer with the same key", () => {
  test("gets every message of the table in order, their number, and reports", async () => {
    const answer = await ask(await serve());
    if (typeof answer === "string") throw new Error(answer);
    const { got, ...rest } = answer;
    expect(Buffer.concat(got).equals(Buffer.concat(MESSAGES))).toBe(true);
    expect(rest).toEqual({ complete: 500, report: { messages: 3, entries: 2 ** 40, connections: 500 } });
  });

  test("but another syncid is sent away", async () => {
    expect(await ask(await serve(), KEY, 8)).toContain("ended the connection");
    // Nor is it asked for what the server lacks.
    const askedOf: string[] = [];
    const server = new PeerServer(KEY, {
      syncId: 7,
      messages: () => MESSAGES,
      report: () => ({ messages: 0, entries: 0, connections: 0 }),
      taker: (peer) => void askedOf.push(peer),
    });
    open.push(server);
    expect(await ask(await server.listen("127.0.0.1", 0), KEY, 8)).toContain("ended the connection");
    expect(askedOf).toEqual([]);
  });
});

describe("a server that lost its own connections", () => {
  const meet = async (
    table: (() => { messages: () => Iterable<Uint8Array>; connections: number }) | undefined,
  ): Promise<{ got: Buffer[]; peer: string }> => {
    const got: Buffer[] = [];
    let wanted = true;
    return new Promise((resolve) => {
      const server = new PeerServer(KEY, {
        syncId: 7,
        messages: () => MESSAGES,
        report: () => ({ messages: 0, entries: 0, connections: 0 }),
        taker: (peer) =>
          wanted
            ? {
                message: (bytes) => got.push(Buffer.from(bytes)),
                complete: () => {
                  wanted = false;
                  resolve({ got, peer });
                },
              }
            : undefined,
      });
      open.push(server);
      void server.listen("127.0.0.1", 0).then((port) => {
        const nothing = { message() {}, complete() {}, report() {}, closed() {} };
        open.push(new PeerClient(KEY, "127.0.0.1", port, 7, { ...nothing, ...(table && { table }) }));
      });
    });
  };

  test("asks who connects for the whole table, while it gives its own", async () => {
    const { got, peer } = await meet(() => ({ messages: () => MESSAGES, connections: 500 }));
    expect(Buffer.concat(got).equals(Buffer.concat(MESSAGES))).toBe(true);
    expect(peer).toBe("127.0.0.1");
  });

  test("learns that there is nothing from one that gives none", async () => {
    expect((await meet(undefined)).got).toEqual([]);
  });

  test("takes no table that it has not asked for", async () => {
    const port = await serve();
    const stream = new FrameStream(KEY, true);
    const socket = connect(port, "127.0.0.1");
    open.push({ close: () => socket.destroy() });
    const nonce = Buffer.alloc(NONCE_LEN);
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.write(stream.frame(FRAME.hello, Buffer.concat([MAGIC, nonce])));
    socket.once("data", (bytes) => {
      for (const { body } of stream.push(bytes)) stream.agree(nonce, Buffer.from(body));
      socket.on("data", () => {});
      socket.write(stream.frame(FRAME.request, Buffer.of(7)));
      socket.write(stream.frame(FRAME.table, MESSAGES[0]));
    });
    await ended;
  });
});

test("a peer with another key is told nothing", async () => {
  expect(await ask(await serve(), Buffer.from("another key, as long"))).toBe(
    "127.0.0.1 ended the connection: it has another key",
  );
});

test("a stranger who talks garbage is cut off, and the next peer is served", async () => {
  const port = await serve();
  const closed = await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(Buffer.alloc(4096, 0x41)));
    socket.on("error", () => {});
    socket.on("close", () => resolve("closed"));
    open.push({ close: () => socket.destroy() });
  });
  expect(closed).toBe("closed");
  expect(await ask(port)).toMatchObject({ complete: 500 });
});

test("a frame that was changed, repeated or sent back is refused", () => {
  const pair = (): [FrameStream, FrameStream] => [new FrameStream(KEY, true), new FrameStream(KEY, false)];
  const read = (stream: FrameStream, bytes: Buffer) => [...stream.push(bytes)];
  const body = Buffer.from("table");

  let [client, server] = pair();
  const good = client.frame(4, body);
  expect(read(server, good)).toEqual([{ type: 4, body }]);
  expect(() => read(server, good)).toThrow("the keys differ");

  [client, server] = pair();
  const changed = client.frame(4, body);
  changed[6] ^= 1;
  expect(() => read(server, changed)).toThrow("the keys differ");

  [client, server] = pair();
  expect(() => read(client, client.frame(4, body))).toThrow("the keys differ");
});

test("frames may arrive in any pieces", () => {
  const [client, server] = [new FrameStream(KEY, true), new FrameStream(KEY, false)];
  const bytes = Buffer.concat([client.frame(1, Buffer.from("a")), client.frame(2, Buffer.alloc(3000))]);
  const types: number[] = [];
  for (let i = 0; i < bytes.length; i += 7) {
    for (const { type } of server.push(bytes.subarray(i, i + 7))) types.push(type);
  }
  expect(types).toEqual([1, 2]);
});

test("readSyncKey() takes a key that is long enough and private, and says what is wrong with others", () => {
  const directory = mkdtempSync(join(tmpdir(), "lvsd-key-"));
  const path = join(directory, "key");
  try {
    expect(readSyncKey(path)).toEqual({ kind: "none" });
    writeFileSync(path, "sixteen bytes ok\n", { mode: 0o600 });
    expect(readSyncKey(path)).toEqual({ kind: "key", key: Buffer.from("sixteen bytes ok") });
    chmodSync(path, 0o644);
    expect(readSyncKey(path)).toMatchObject({ kind: "unusable", why: expect.stringContaining("chmod 600") });
    writeFileSync(path, "short", { mode: 0o600 });
    chmodSync(path, 0o600);
    expect(readSyncKey(path)).toMatchObject({
      kind: "unusable",
      why: expect.stringContaining("at least 16"),
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
