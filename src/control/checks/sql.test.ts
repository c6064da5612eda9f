import { describe, expect, it } from "vitest";
import type { CheckSpec } from "./check.ts";
import { createChecker } from "./create.ts";
import { sqlObstacle } from "./sql.ts";

const spec = (engine: "mysql" | "pgsql" | "oracle", more: object = {}): CheckSpec => ({
  kind: "sql",
  engine,
  target: { family: 4, address: "127.0.0.1", port: 1 },
  timeoutMs: 5000,
  login: "u",
  password: "p",
  database: "d",
  query: "select 1",
  ...more,
});
const nothing = (name: string): never => {
  throw new Error(`Cannot find module '${name}'`);
};

describe("a database check", () => {
  it("names the package that is missing and how to get it", async () => {
    expect(sqlObstacle("mysql", nothing)).toBe(
      "checks of MySQL need the npm package mysql2: npm install mysql2",
    );
    expect(sqlObstacle("pgsql", nothing)).toMatch(/npm install postgres$/);
    expect(sqlObstacle("oracle")).toMatch(/not supported/);
    expect(
      await createChecker(spec("mysql"), { load: nothing }).check(new AbortController().signal),
    ).toMatchObject({
      ok: false,
      reason: "local",
      detail: "checks of MySQL need the npm package mysql2: npm install mysql2",
    });
  });

  it("finds the packages that are installed with lvsd", () => {
    expect(sqlObstacle("mysql")).toBeUndefined();
    expect(sqlObstacle("pgsql")).toBeUndefined();
  });

  it("needs a login and a query", async () => {
    for (const more of [{ login: "" }, { query: "/" }])
      expect(await createChecker(spec("pgsql", more)).check(new AbortController().signal)).toMatchObject({
        ok: false,
        reason: "local",
      });
  });
});
