/**
 * A database lets us in and the query gives at least one row (ldirectord's mysql and pgsql). The clients are optional packages,
 * loaded at the first check; the connection is ours, so that source address and mark hold here too.
 * @module
 */
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { join } from "node:path";
import { type Attempt, attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { connect, failureOf } from "./connection.ts";
import { requestOf } from "./protocol.ts";

type SqlSpec = CheckSpec & { readonly kind: "sql" };

/** npm package that speaks with an engine. */
const PACKAGE = { mysql: "mysql2", pgsql: "postgres" } as const;
const NAME = { mysql: "MySQL", pgsql: "PostgreSQL", oracle: "Oracle" } as const;

/** Loads a package by name; throws when it is not there. */
export type LoadPackage = (name: string) => unknown;

const here = createRequire(join(import.meta.dirname, "x.js"));
const loadInstalled: LoadPackage = (name) => here(name);

/**
 * Why an engine cannot be asked on this machine, with the remedy; undefined when it can. Readers of configuration tell it as an
 * error.
 */
export function sqlObstacle(
  engine: SqlSpec["engine"],
  load: LoadPackage = loadInstalled,
): string | undefined {
  if (engine === "oracle") return "Oracle is not supported: there is no free client; use an external check";
  try {
    load(PACKAGE[engine]);
    return undefined;
  } catch {
    return `checks of ${NAME[engine]} need the npm package ${PACKAGE[engine]}: npm install ${PACKAGE[engine]}`;
  }
}

export class SqlChecker implements Checker {
  readonly #spec: SqlSpec;
  readonly #load: LoadPackage;

  constructor(spec: SqlSpec, load: LoadPackage = loadInstalled) {
    this.#spec = spec;
    this.#load = load;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { engine, timeoutMs, target, login } = this.#spec;
    return attempt(timeoutMs, signal, async (run): Promise<Outcome> => {
      const obstacle = sqlObstacle(engine, this.#load);
      if (obstacle !== undefined) throw new CheckFailure("local", obstacle);
      const query = requestOf({ request: this.#spec.query });
      if (login === "" || query === "")
        throw new CheckFailure("local", "a database check needs login and query");
      const socket = await connect(run, target);
      run.phase = "waiting for the database";
      const rows = await (engine === "mysql"
        ? this.#mysql(run, socket, query)
        : this.#pgsql(run, socket, query));
      if (rows === 0) throw new CheckFailure("answer", "the query gave no row");
      return { ok: true, detail: `the query gave ${rows} ${rows === 1 ? "row" : "rows"}` };
    });
  }

  close(): void {}

  async #mysql(run: Attempt, socket: Socket, query: string): Promise<number> {
    const { createConnection } = this.#load("mysql2") as typeof import("mysql2");
    const { login, password, database, timeoutMs } = this.#spec;
    const connection = createConnection({
      stream: socket,
      user: login,
      password,
      ...(database !== "" && { database }),
      connectTimeout: timeoutMs + 1000, // the attempt's limit comes first
    });
    run.onEnd(() => connection.destroy());
    return new Promise((resolve, reject) => {
      connection.on("error", (error) => reject(refusal(error)));
      connection.query({ sql: query, rowsAsArray: true }, (error, rows) => {
        if (error) reject(refusal(error));
        else resolve(Array.isArray(rows) ? rows.length : 0);
      });
    });
  }

  async #pgsql(run: Attempt, socket: Socket, query: string): Promise<number> {
    const loaded = this.#load("postgres") as typeof import("postgres") & {
      default?: typeof import("postgres");
    };
    const postgres = loaded.default ?? loaded;
    const { login, password, database, target } = this.#spec;
    const options = {
      host: target.address,
      port: target.port,
      user: login,
      pass: password,
      database: database === "" ? login : database,
      max: 1,
      ssl: false,
      prepare: false,
      fetch_types: false,
      backoff: false,
      connect_timeout: 0, // the attempt's limit counts
      max_lifetime: null,
      onnotice: () => {},
      socket: () => Promise.resolve(socket),
    };
    const sql = postgres(options as unknown as Parameters<typeof postgres>[0]);
    run.onEnd(() => void sql.end({ timeout: 0 }).catch(() => {}));
    // The client would connect again and again; there is only this one connection.
    const lost = new Promise<never>((_, reject) => {
      socket.once("close", () => reject(CLOSED));
    });
    try {
      return (await Promise.race([sql.unsafe(query), lost])).length;
    } catch (error) {
      throw refusal(error);
    }
  }
}

const CLOSED = new CheckFailure("closed", "closed by the server before an answer");

/** What a database's error means. */
function refusal(error: unknown): CheckFailure {
  if (error instanceof CheckFailure) return error;
  const { code = "", message, errno } = error as NodeJS.ErrnoException;
  const text = message.split("\n")[0]!.slice(0, 120);
  // MySQL 1044, 1045, 1698: access denied. PostgreSQL class 28: invalid authorization.
  if ([1044, 1045, 1698].includes(errno ?? 0) || /^28/.test(code)) return new CheckFailure("login", text);
  if (code === "PROTOCOL_CONNECTION_LOST" || code === "CONNECTION_CLOSED" || code === "CONNECTION_DESTROYED")
    return CLOSED;
  if (/^E[A-Z]+$/.test(code)) return failureOf(error);
  return new CheckFailure("answer", text);
}
