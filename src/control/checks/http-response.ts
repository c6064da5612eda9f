/**
 * Reads an HTTP answer as it comes: first line, headers, body. No more than a check needs to know.
 * @module
 */
import { createHash, type Hash } from "node:crypto";

/** Most bytes of header; an answer with more has none. */
const HEADER_LIMIT = 65536;
/** Most provisional answers before the one that counts. */
const PROVISIONAL_LIMIT = 20;
/** Most bytes of body that are kept for a pattern; what comes after is not matched. */
const BODY_LIMIT = 8 << 20;

export interface ReadingOptions {
  /** Keep the body for a pattern. */
  readonly keepBody: boolean;
  /** Make the MD5 of the body. */
  readonly digest: boolean;
  /** Understand chunks and stop at the end of the answer; else everything until the server closes is body, chunk headers too. */
  readonly decode: boolean;
  /** The answer to HEAD has no body, whatever its headers say. */
  readonly head: boolean;
}

/** One answer, fed with bytes. */
export class HttpResponse {
  /** First line, without its end; undefined until it is there. */
  statusLine: string | undefined;
  /** Status code; undefined when the first line is not one of HTTP. */
  status: number | undefined;
  /** Bytes before the body, the empty line included; undefined until it is there. */
  headerLength: number | undefined;
  /** Bytes of body that came, decoded. */
  bodyLength = 0;
  /**
   * The Content-Length header, once the header is complete. compat: keepalived-2.2.7 knows it in this capitalisation only, which is
   * kept where its length limits the digest.
   */
  contentLength: number | undefined;
  /** The answer is known to be complete, only with `decode`. */
  complete = false;
  readonly #options: ReadingOptions;
  readonly #hash: Hash | undefined;
  #received = 0;
  /** Provisional answers so far. */
  #provisional = 0;
  #header = "";
  #inBody = false;
  #chunked = false;
  readonly #body: Buffer[] = [];
  #kept = 0;
  /** Chunked: bytes left of this chunk; -1 reads a chunk header, -2 the newline after a chunk. */
  #chunkLeft = -1;
  #chunkHeader = "";

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#hash = options.digest ? createHash("md5") : undefined;
  }

  /** Whether anything came at all. */
  get received(): boolean {
    return this.#received > 0;
  }

  /** A header's value, by lower-case name. */
  header(name: string): string | undefined {
    for (const line of this.#header.split(/\r?\n/).slice(1)) {
      const colon = line.indexOf(":");
      if (colon > 0 && line.slice(0, colon).trim().toLowerCase() === name)
        return line.slice(colon + 1).trim();
    }
    return undefined;
  }

  /** The body as latin1 text, when kept. */
  get body(): string {
    return Buffer.concat(this.#body).toString("latin1");
  }

  /** MD5 of the body in lower-case hex, when made. Call once. */
  digest(): string {
    return this.#hash?.digest("hex") ?? "";
  }

  feed(bytes: Buffer): void {
    this.#received += bytes.length;
    if (this.complete) return;
    if (this.#inBody) {
      this.#feedBody(bytes);
      return;
    }
    this.#header += bytes.toString("latin1");
    const end = /\r?\n\r?\n/.exec(this.#header);
    if (!end) {
      if (this.#header.length > HEADER_LIMIT) this.#startBody("");
      else this.#readStatus();
      return;
    }
    this.headerLength = end.index + end[0].length;
    const body = this.#header.slice(this.headerLength);
    this.#header = this.#header.slice(0, end.index);
    this.#startBody(body);
  }

  #readStatus(): void {
    const end = this.#header.search(/\r?\n/);
    if (end < 0 || this.statusLine !== undefined) return;
    this.statusLine = this.#header.slice(0, end);
    const code = /^HTTP\/\d+(?:\.\d+)?[ \t]+(\d{3})(?!\d)/.exec(this.statusLine)?.[1];
    if (code !== undefined) this.status = Number(code);
  }

  #startBody(rest: string): void {
    if (this.statusLine === undefined) {
      // The header's last line is the first one too.
      const header = this.#header;
      this.#header += "\n";
      this.#readStatus();
      this.#header = header;
    }
    const provisional = this.status !== undefined && this.status < 200 && this.status !== 101;
    if (provisional && ++this.#provisional <= PROVISIONAL_LIMIT) {
      // Provisional (100 Continue, 103 Early Hints): the answer is still to come; its status counts when none does.
      this.statusLine = undefined;
      this.headerLength = undefined;
      this.#header = "";
      if (rest !== "") this.feed(Buffer.from(rest, "latin1"));
      return;
    }
    this.#inBody = true;
    const { decode, head } = this.#options;
    const length = new RegExp("^Content-Length:[ \\t]*(\\d+)", decode ? "im" : "m").exec(this.#header)?.[1];
    if (length !== undefined) this.contentLength = Number(length);
    this.#chunked = decode && /chunked/i.test(this.header("transfer-encoding") ?? "");
    const none = head || this.status === 204 || this.status === 304;
    if (decode && (none || (!this.#chunked && this.contentLength === 0))) this.complete = true;
    else if (rest !== "") this.#feedBody(Buffer.from(rest, "latin1"));
  }

  #feedBody(bytes: Buffer): void {
    if (this.#chunked) {
      this.#feedChunks(bytes);
      return;
    }
    const length = this.contentLength;
    // The digest and the pattern see Content-Length bytes at most; what follows is counted.
    const wanted = length === undefined ? bytes : bytes.subarray(0, Math.max(0, length - this.bodyLength));
    this.#take(wanted);
    this.bodyLength += bytes.length - wanted.length;
    if (this.#options.decode && length !== undefined && this.bodyLength >= length) this.complete = true;
  }

  #feedChunks(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.complete) {
      if (this.#chunkLeft > 0) {
        const part = bytes.subarray(at, at + this.#chunkLeft);
        this.#take(part);
        at += part.length;
        this.#chunkLeft -= part.length;
        if (this.#chunkLeft === 0) this.#chunkLeft = -2;
        continue;
      }
      const newline = bytes.indexOf(10, at);
      const end = newline < 0 ? bytes.length : newline + 1;
      this.#chunkHeader += bytes.toString("latin1", at, end);
      at = end;
      if (newline < 0) {
        if (this.#chunkHeader.length > HEADER_LIMIT) this.complete = true;
        return;
      }
      if (this.#chunkLeft === -2) this.#chunkLeft = -1;
      else {
        const size = Number.parseInt(this.#chunkHeader, 16);
        if (size > 0) this.#chunkLeft = size;
        else this.complete = true; // the last chunk (0), or nonsense
      }
      this.#chunkHeader = "";
    }
  }

  #take(bytes: Buffer): void {
    this.bodyLength += bytes.length;
    this.#hash?.update(bytes);
    if (!this.#options.keepBody || this.#kept >= BODY_LIMIT) return;
    this.#body.push(bytes);
    this.#kept += bytes.length;
  }
}
