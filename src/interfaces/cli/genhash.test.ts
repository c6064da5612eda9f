import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CheckedServer, certificate, closedPort, tcpServer } from "../../testkit/checked-server.ts";
import { genhash, hexDump } from "./genhash.ts";

/** Debian's keepalived under the name that makes it genhash. */
const REAL = "/usr/bin/genhash";

interface Told {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function ours(...words: string[]): Promise<Told> {
  let [out, err] = ["", ""];
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const status = await genhash(words, "genhash", io);
  return { status, out, err };
}

const real = (...words: string[]): Promise<Told> =>
  new Promise((resolve) => {
    execFile("genhash", words, { encoding: "latin1", env: { PATH: dirname(REAL) } }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
  });

const ANSWERS: Readonly<Record<string, string>> = {
  "/": "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nhello world\n",
  "/binary": "HTTP/1.0 200 OK\r\n\r\n\x00\x01\x7f\x80\xff and text that goes on for a while",
  "/longer": "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello world\n",
  "/shorter": "HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\nhello world\n",
  "/nobody": "HTTP/1.0 200 OK\r\n\r\n",
  "/chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "/error": "HTTP/1.0 500 Oh\r\n\r\nsorry",
  "/noheader": "no header\n",
  "/empty": "",
};

describe("genhash", () => {
  const asked: string[] = [];
  let server: CheckedServer;
  let secured: CheckedServer;
  let at: string[];
  beforeAll(async () => {
    const serve: Parameters<typeof tcpServer>[0] = (socket) => {
      socket.once("data", (data) => {
        const request = data.toString("latin1");
        asked.push(request);
        const path = request.split(" ")[1] ?? "";
        if (path !== "/silent") socket.end(ANSWERS[path], "latin1");
      });
    };
    server = await tcpServer(serve);
    secured = await tcpServer(serve, { tls: certificate("x") });
    at = ["-s", "127.0.0.1", "-p", String(server.port)];
  });
  afterAll(async () => {
    await server.close();
    await secured.close();
  });

  it("prints the MD5 of the body", async () => {
    expect(await ours(...at, "-u", "/")).toEqual({
      status: 0,
      out: "6f5902ac237024bdd0c176cb93063dc4\n",
      err: "",
    });
  });

  it("dumps sixteen bytes a line", () => {
    expect(hexDump(Buffer.from("hello world\n"))).toBe(
      "0000  68 65 6c 6c 6f 20 77 6f - 72 6c 64 0a               hello world.    \n",
    );
    expect(hexDump(new Uint8Array(17)).split("\n")[1]).toMatch(/^0016 {2}00 {22}- {27}\. {15}$/);
    expect(hexDump(new Uint8Array())).toBe("");
  });

  describe.skipIf(!existsSync(REAL))("says what Debian's says", () => {
    /** The time it took is the one thing that may differ. */
    const both = async (...words: string[]): Promise<[Told, Told]> => {
      const timeless = (told: Told): Told => ({ ...told, out: told.out.replace(/= \d+ usecs/, "= N usecs") });
      return [timeless(await ours(...words)), timeless(await real(...words))];
    };
    const same = async (...words: string[]): Promise<void> => {
      const [a, b] = await both(...words);
      expect(a, words.join(" ")).toEqual(b);
    };

    it.each(Object.keys(ANSWERS))("about %s", async (path) => {
      await same(...at, "-u", path);
      await same(...at, "-v", "-u", path);
    });

    it("over TLS, or when TLS is not spoken there", async () => {
      await same("-S", "-s", "127.0.0.1", "-p", String(secured.port), "-u", "/");
      await same("-SI", "-V", "www.example.org", "-s", "127.0.0.1", "-p", String(secured.port), "-u", "/");
      await same("-S", ...at, "-u", "/");
    });

    it("when nobody answers", async () => {
      const closed = ["-s", "127.0.0.1", "-p", String(await closedPort()), "-u", "/"];
      await same(...closed);
      await same(...closed, "-v");
      await same(...at, "-u", "/silent", "-t", "1");
    });

    it("about a command line that is wrong", async () => {
      const wrong = [
        [],
        ["-h"],
        ["-s", "foo", "-p", "1", "-u", "/"],
        ["-u", "/", ...at.slice(0, 2)],
        [...at],
        [...at, "-u"],
        [...at, "-u", "/", "extra"],
        [...at, "-u", "/", "-m", "x"],
        [...at, "-u", "/", "-t", "x"],
        [...at, "-u", "/", "-P", "2"],
        ["-s", "127.0.0.1", "-p", "99999", "-u", "/"],
        ["-x"],
        ["--nonsense"],
      ];
      for (const words of wrong) await same(...words);
    });

    it("asks the server the same", async () => {
      const words = [
        ["-u", "/"],
        ["--url=/", "--use-virtualhost", "www.example.org"],
        ["-u", "/", "-P", "1.0c"],
        ["-u", "/", "-P", "1.1"],
        ["-u", "nowhere"],
      ];
      for (const more of words) {
        asked.length = 0;
        await both(...at, ...more);
        expect(asked.length).toBe(2);
        expect(asked[0]).toBe(asked[1]);
      }
    });
  });
});
