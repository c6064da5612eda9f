/**
 * What two directors of ours say to each other beside the kernel's messages: a TCP stream of frames, each proved by a key that both
 * have (HMAC-SHA256, RFC 2104). A frame is
 *
 *     | length of what follows (u32, big-endian) | type | body | proof, 32 bytes |
 *
 * and its proof covers both ends' nonces, the direction, the frame's number in that direction, type and body: a frame can neither be
 * changed, repeated, left out nor sent back. The two frames that carry the nonces are proved too, with zeros for what is not known yet.
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Frame types. `hello` comes from who connects. */
export const FRAME = {
  /** Magic, nonce. */
  hello: 1,
  /** Nonce. */
  welcome: 2,
  /** syncid: asks for the whole table, and for reports from then on. */
  request: 3,
  /** A synchronisation message. */
  table: 4,
  /** The table is complete: connections in it (u32). */
  complete: 5,
  /** Messages sent to the group so far, entries in them, connections in the table (u64 each). */
  report: 6,
  /** From who was connected to: asks for the table of the other end, which answers by `table` and `complete`. */
  ask: 7,
} as const;

export const MAGIC = Buffer.from("lvsdsyn1", "latin1");
export const NONCE_LEN = 16;
const PROOF_LEN = 32;
const LENGTH_LEN = 4;
/** Largest frame: a message and its frame. */
const MAX_LEN = 1 << 17;

/** One end of a stream. */
export class FrameStream {
  readonly #key: Buffer;
  readonly #client: boolean;
  #nonces: Buffer = Buffer.alloc(2 * NONCE_LEN);
  #sent = 0;
  #received = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(key: Buffer, client: boolean) {
    this.#key = key;
    this.#client = client;
  }

  /** Both nonces are known: they count from the next frame on. */
  agree(client: Buffer, server: Buffer): void {
    this.#nonces = Buffer.concat([client, server]);
  }

  /** The bytes of a frame. */
  frame(type: number, body: Uint8Array): Buffer {
    const head = Buffer.alloc(LENGTH_LEN + 1);
    head.writeUInt32BE(1 + body.length + PROOF_LEN);
    head[LENGTH_LEN] = type;
    return Buffer.concat([head, body, this.#proof(this.#client, this.#sent++, type, body)]);
  }

  /**
   * The frames that bytes complete.
   * @throws Error for a frame that is too long or whose proof is wrong: the connection is to be closed
   */
  *push(bytes: Buffer): Generator<{ readonly type: number; readonly body: Buffer }> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= LENGTH_LEN) {
      const length = this.#rest.readUInt32BE();
      if (length > MAX_LEN || length < 1 + PROOF_LEN) throw new Error(`a frame of ${length} bytes`);
      if (this.#rest.length < LENGTH_LEN + length) return;
      const type = this.#rest[LENGTH_LEN];
      const body = this.#rest.subarray(LENGTH_LEN + 1, LENGTH_LEN + length - PROOF_LEN);
      const proof = this.#rest.subarray(LENGTH_LEN + length - PROOF_LEN, LENGTH_LEN + length);
      const wanted = this.#proof(!this.#client, this.#received++, type, body);
      if (!timingSafeEqual(proof, wanted)) throw new Error("a frame whose proof is wrong: the keys differ");
      this.#rest = this.#rest.subarray(LENGTH_LEN + length);
      yield { type, body };
    }
  }

  #proof(fromClient: boolean, number: number, type: number, body: Uint8Array): Buffer {
    const head = Buffer.alloc(10);
    head[0] = fromClient ? 1 : 0;
    head.writeBigUInt64BE(BigInt(number), 1);
    head[9] = type;
    return createHmac("sha256", this.#key).update(this.#nonces).update(head).update(body).digest();
  }
}
