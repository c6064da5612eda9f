/**
 * {@link Io} over this process. Writes are synchronous and bypass node's streams, which cost start-up time.
 * @module
 */
import { readSync, writeSync } from "node:fs";
import { systemNames } from "../names.ts";
import type { Io } from "./io.ts";
import type { OpenPlane } from "./main.ts";

/** Exit status of a process that wrote to a closed pipe: 128 + SIGPIPE. */
const BROKEN_PIPE = 141;

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(BROKEN_PIPE);
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); // a full non-blocking pipe
    }
  }
}

async function* readStdin(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const buffer = Buffer.alloc(65536);
  for (;;) {
    let length: number;
    try {
      length = readSync(0, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") length = 0;
      else if (code === "EAGAIN") {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      } else throw error;
    }
    if (length === 0) break;
    yield decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  yield decoder.decode();
}

/** A command of this folder. */
type Main = (
  words: readonly string[],
  io: Io,
  names: ReturnType<typeof systemNames>,
  openPlane: OpenPlane,
) => Promise<number>;

/** Runs a command with this process's words and streams, and ends the process with its status. */
export async function runProcess(main: Main, program: string): Promise<never> {
  const io: Io = {
    program,
    stdin: readStdin,
    stdout: (text) => write(1, text),
    stderr: (text) => write(2, text),
    stderrIsTerminal: () => process.stderr.isTTY === true,
  };
  const openPlane: OpenPlane = async () =>
    (await import("../../../planes/select.ts")).openPlane({ lazy: true });
  process.exit(await main(process.argv.slice(2), io, systemNames(), openPlane));
}
