/**
 * Where backups ask a master for its table: at the address that its announcements come from, whatever that is by now. It may come late,
 * change and go.
 * @module
 */
import type { PeerServer } from "./peer-server.ts";

/** See the module's description. */
export class TableDoor {
  readonly #server: PeerServer;
  readonly #port: number;
  readonly #source: () => string | undefined;
  /** Listened at, or about to be. */
  #at: string | undefined;
  #failure: string | undefined;

  /** `source` gives the address now. */
  constructor(server: PeerServer, port: number, source: () => string | undefined) {
    this.#server = server;
    this.#port = port;
    this.#source = source;
    this.look();
  }

  /** Why nobody can ask. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** To be called once a second: listens where it should. */
  look(): void {
    const source = this.#source();
    if (source === undefined) {
      this.#at = undefined;
      this.#failure = "the interface has no address that announcements could come from";
      return;
    }
    if (source === this.#at) return;
    this.#at = source;
    this.#server.listen(source, this.#port).then(
      () => {
        this.#failure = undefined;
      },
      (error: Error) => {
        this.#failure = error.message;
        // The address may be new and not usable yet, or the port another program's for a while: the next look tries again.
        if (this.#at === source) this.#at = undefined;
      },
    );
  }
}
