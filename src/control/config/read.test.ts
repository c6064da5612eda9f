import { describe, expect, it } from "vitest";
import { memoryFiles } from "./files.ts";
import { languageOf, readConfig } from "./read.ts";

describe("languageOf()", () => {
  it.each([
    ["x", "checktimeout = 3\nvirtual=10.0.0.1:80\n\treal=10.0.0.2:80 gate\n", "ldirectord"],
    ["x", "global_defs {\n}\n", "keepalived"],
    ["x", "# a=b\ninclude /etc/more.conf\n", "keepalived"],
    ["/etc/ha.d/ldirectord.cf", "# nothing yet\n", "ldirectord"],
    ["/etc/keepalived/keepalived.conf", "", "keepalived"],
  ])("knows %s with %j", (path, text, language) => {
    expect(languageOf(path, text)).toBe(language);
  });
});

it("readConfig() refuses a file that cannot be read, by its name", async () => {
  await expect(readConfig("/none.conf", { files: memoryFiles({}) })).rejects.toThrow("/none.conf");
});

it("readConfig() gives the same specs on every machine", async () => {
  const files = memoryFiles({
    "/k.conf": "virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.0.0.2 80 {\n }\n}\n",
  });
  const { wanted } = await readConfig("/k.conf", { files, hostName: "a.example" });
  expect(wanted.language).toBe("keepalived");
  expect(wanted.virtualServers.map(({ name }) => name)).toEqual(["[10.0.0.1]:tcp:80"]);
});
