import { expect, test } from "vitest";
import { VirtualRoutes } from "./routes.ts";
import type { RouteSpec } from "./spec.ts";

const route = (words: string): RouteSpec => ({
  family: 4,
  words: words.split(" "),
  noTrack: false,
  at: { file: "t", line: 1, column: 1 },
});

function bench() {
  const ran: string[] = [];
  const routes = new VirtualRoutes(
    () => {},
    async (args) => {
      if (!args.includes("show")) ran.push(args.join(" "));
      return { ok: true, text: "" };
    },
  );
  return {
    routes,
    async did(): Promise<string[]> {
      await routes.settled();
      return ran.splice(0);
    },
  };
}

test("a reload that changes nothing about routes does not touch them", async () => {
  const { routes, did } = bench();
  routes.add("VI", [route("default via 192.0.2.2")], []);
  expect(await did()).toContain("-4 route add default via 192.0.2.2 protocol 18");
  routes.add("VI", [route("default via 192.0.2.2")], []);
  expect(await did()).toEqual([]);
  routes.add("VI", [route("default via 192.0.2.3")], []);
  expect(await did()).toContain("-4 route del default via 192.0.2.2 protocol 18");
});

test("routes that were taken back are set by the next master", async () => {
  const { routes, did } = bench();
  routes.add("VI", [route("default via 192.0.2.2")], []);
  routes.remove("VI");
  await did();
  routes.add("VI", [route("default via 192.0.2.2")], []);
  expect(await did()).toContain("-4 route add default via 192.0.2.2 protocol 18");
});
