import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { check } from "./check.ts";
import { fmt } from "./fmt.ts";

let folder = "";
let printed = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-check-"));
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function file(text: string, name = "k.conf"): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const GOOD = `virtual_server 10.0.0.1 80 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.0.1.1 80 {
    }
}
`;

describe("lvsd check", () => {
  it("says that all is fine, and what there is", async () => {
    const path = file(GOOD);
    expect(await check(path, {})).toBe(0);
    expect(printed).toBe(`${path}: 1 virtual server, 1 real server, 0 VRRP instances: fine\n`);
  });

  it("marks the word a message is about, and allows warnings", async () => {
    const path = file(GOOD.replace("lb_algo rr", "lb_algo rr\n\tlb_algoo wrr"));
    expect(await check(path, {})).toBe(0);
    expect(printed).toContain(
      `${path}:3:2: warning: lb_algoo is unknown in virtual_server; it is left out\n    \tlb_algoo wrr\n    \t^^^^^^^^\n    the nearest known word here is lb_algo\n`,
    );
    expect(printed).toContain(": 1 warning\n");
  });

  it("ends with 1 when there is an error, also as JSON", async () => {
    const path = file(GOOD.replace("10.0.1.1", "web1"));
    expect(await check(path, { json: true })).toBe(1);
    const answer = JSON.parse(printed);
    expect(answer).toMatchObject({ ok: false, language: "keepalived", files: [path] });
    expect(answer.diagnostics[1]).toMatchObject({
      code: "bad-address",
      at: { file: path, line: 5, column: 17 },
    });
  });

  it("knows an ldirectord.cf when it sees one", async () => {
    const path = file("virtual=10.0.0.1:80\n\treal=10.0.1.1:80 masq\n\tprotocol=tcp\n", "l.cf");
    await check(path, { json: true });
    expect(JSON.parse(printed).language).toBe("ldirectord");
  });

  it("--fix writes the clean form and keeps comments", async () => {
    const path = file(
      "! mine\nglobal_defs { lvs_id x # who\n}\nvirtual_server 10.0.0.1 80\n{\n\u00a0lb_algo rr\nlb_kind nat\nnat_mask 255.0.0.0 # old\nprotocol TCP\nreal_server 10.0.1.1 80 {\nTCP_CHECK {\nnb_get_retry 3\n}\n}\n}\n}\n",
    );
    expect(await check(path, { fix: true })).toBe(0);
    expect(readFileSync(path, "utf8")).toBe(`! mine
global_defs {
    router_id x # who
}
virtual_server 10.0.0.1 80 {
    lb_algo rr
    lb_kind NAT
    # old
    protocol TCP
    real_server 10.0.1.1 80 {
        TCP_CHECK {
            retry 3
        }
    }
}
`);
    expect(printed).toContain("rewritten");
    expect(printed).toContain(": fine");
  });

  it("--fix closes blocks where the next one begins", async () => {
    const path = file(
      `vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.9\n}\n${GOOD}`,
    );
    expect(await check(path, {})).toBe(1);
    expect(printed).toContain("line 7 begins a virtual_server inside it");
    expect(await check(path, { fix: true })).toBe(0);
    expect(printed).toContain("1 virtual server, 1 real server, 1 VRRP instance: fine");
  });
});

describe("lvsd fmt", () => {
  const rough = "a {\nb   c\n}\n";
  const neat = "a {\n    b c\n}\n";

  it("prints the form and leaves the file", () => {
    const path = file(rough);
    expect(fmt([path], {})).toBe(0);
    expect(printed).toBe(neat);
    expect(readFileSync(path, "utf8")).toBe(rough);
  });

  it("--check names files that are not in the form, --write rewrites them", () => {
    const path = file(rough);
    expect(fmt([path], { check: true })).toBe(1);
    expect(fmt([path], { write: true })).toBe(0);
    expect(readFileSync(path, "utf8")).toBe(neat);
    expect(fmt([path], { check: true })).toBe(0);
    expect(printed).toBe(`${path}\n${path}\n`);
  });

  it("refuses an ldirectord.cf", () => {
    expect(() => fmt([file("virtual=10.0.0.1:80\n", "l.cf")], {})).toThrow("only keepalived.conf");
  });
});
