import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tcpServer } from "../../testkit/checked-server.ts";
import { element, elements, integer, lengthAt, numberOf, text } from "./ber.ts";
import type { CheckSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

type LdapSpec = CheckSpec & { readonly kind: "ldap" };

const result = (tag: number, code: number, words = ""): Buffer =>
  element(tag, integer(code, 0x0a), text(""), text(words));
const entry = (dn: string): Buffer => element(0x64, text(dn), element(0x30));
const DONE = result(0x65, 0);

/** Checks a directory that answers the bind and the search with these operations; also what it was asked. */
async function check(
  bind: Buffer,
  search: readonly Buffer[],
  more: Partial<LdapSpec> = {},
): Promise<{ verdict: Verdict; asked: Buffer[] }> {
  const asked: Buffer[] = [];
  const server = await tcpServer((socket) => {
    let buffer = Buffer.alloc(0);
    socket.on("data", (data) => {
      buffer = Buffer.concat([buffer, data]);
      for (let n = lengthAt(buffer, 0); n > 0 && n <= buffer.length; n = lengthAt(buffer, 0)) {
        const [id, operation] = elements(elements(buffer.subarray(0, n))![0]!.value)!;
        asked.push(operation!.value);
        buffer = buffer.subarray(n);
        const answers = operation!.tag === 0x60 ? [bind] : operation!.tag === 0x63 ? search : [];
        for (const answer of answers) socket.write(element(0x30, integer(numberOf(id!.value)), answer));
      }
    });
  });
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const common = {
    kind: "ldap",
    target,
    timeoutMs: 10_000,
    tls: false,
    login: "cn=me",
    password: "pw",
    base: "/dc=x",
  } as const;
  const verdict = await createChecker({ ...common, ...more }).check(new AbortController().signal);
  await server.close();
  return { verdict, asked };
}

describe("an LDAP check", () => {
  it("does not listen to entries without end, and knows a referral", async () => {
    expect((await check(result(0x61, 0), [entry("a"), entry("b")])).verdict).toMatchObject({
      ok: false,
      detail: "the search found several entries, wanted one",
    });
    expect((await check(result(0x61, 0), [result(0x65, 10)])).verdict).toMatchObject({
      ok: false,
      detail: "search answered referral",
    });
  });

  it("binds, searches the base, and wants one entry", async () => {
    const { verdict, asked } = await check(result(0x61, 0), [entry("dc=x"), DONE]);
    expect(verdict).toMatchObject({ ok: true, detail: "found dc=x" });
    expect(elements(asked[0]!)!.map(({ value }) => value.toString())).toEqual(["\x03", "cn=me", "pw"]);
    expect(elements(asked[1]!)![0]!.value.toString()).toBe("dc=x");
    expect((await check(result(0x61, 0), [DONE])).verdict).toMatchObject({
      ok: false,
      detail: "the search found no entry, wanted one",
    });
    expect((await check(result(0x61, 0), [entry("a"), entry("b"), DONE])).verdict).toMatchObject({
      ok: false,
    });
  });

  it("binds as nobody unless there is a login and a password", async () => {
    const { asked } = await check(result(0x61, 0), [entry(""), DONE], { password: "" });
    expect(elements(asked[0]!)![1]!.value.length).toBe(0);
  });

  it("looks for the pattern in the name", async () => {
    const ask = (source: string): Promise<{ verdict: Verdict }> =>
      check(result(0x61, 0), [entry("dc=example,dc=org"), DONE], { pattern: { source, flags: "" } });
    expect((await ask("^dc=example")).verdict).toMatchObject({ ok: true });
    expect((await ask("other")).verdict).toMatchObject({ ok: false, reason: "pattern" });
  });

  it("says what the directory says", async () => {
    expect((await check(result(0x61, 49), [])).verdict).toMatchObject({
      ok: false,
      reason: "login",
      detail: "bind answered invalidCredentials",
    });
    expect((await check(result(0x61, 0), [result(0x65, 32, "nothing here")])).verdict).toMatchObject({
      ok: false,
      detail: "search answered noSuchObject: nothing here",
    });
    expect((await check(Buffer.from("garbage!"), [])).verdict).toMatchObject({ ok: false });
  });
});

describe("ber", () => {
  it("elements() undoes element(), for every length", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 3 }), (values) => {
        const bytes = Buffer.concat(values.map((value) => element(4, value)));
        expect(elements(bytes)?.map(({ value }) => [...value])).toEqual(values.map((value) => [...value]));
      }),
      { numRuns: 30 },
    );
    for (const n of [0, 1, 127, 128, 255, 256, 65535, 2 ** 31 - 1])
      expect(numberOf(elements(integer(n))![0]!.value)).toBe(n);
    expect(integer(128)).toEqual(Buffer.from([2, 2, 0, 128]));
  });

  it("elements() never throws on garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const found = elements(Buffer.from(bytes));
        expect(found === undefined || Array.isArray(found)).toBe(true);
      }),
    );
  });
});
