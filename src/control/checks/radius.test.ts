import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { udpServer } from "../../testkit/checked-server.ts";
import type { Verdict } from "./check.ts";
import { createChecker } from "./create.ts";
import { accessRequest, hide } from "./radius.ts";

const secret = "xyzzy5461";

/** An answer with this code, signed as RFC 2865 §3 has it. */
function answer(request: Buffer, code: number, key = secret, attributes = Buffer.alloc(0)): Buffer {
  const head = Buffer.from([code, request[1]!, 0, 20 + attributes.length]);
  const signature = createHash("md5")
    .update(head)
    .update(request.subarray(4, 20))
    .update(attributes)
    .update(key)
    .digest();
  return Buffer.concat([head, signature, attributes]);
}

async function check(reply: (request: Buffer) => Buffer): Promise<Verdict> {
  const server = await udpServer(reply);
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const spec = {
    kind: "radius",
    target,
    timeoutMs: 500,
    login: "nemo",
    password: "arctangent",
    secret,
  } as const;
  const verdict = await createChecker(spec).check(new AbortController().signal);
  await server.close();
  return verdict;
}

describe("a RADIUS check", () => {
  it("hides the password as the example of RFC 2865 §7.1 does", () => {
    const authenticator = Buffer.from("0f403f9473978057bd83d5cb98f4227a", "hex");
    expect(hide(Buffer.from("arctangent"), secret, authenticator).toString("hex")).toBe(
      "0dbe708d93d413ce3196e43f782a0aee",
    );
    expect(hide(Buffer.from("x".repeat(20)), secret, authenticator).length).toBe(32);
  });

  it("signs its request with a Message-Authenticator", () => {
    const packet = accessRequest({ login: "nemo", password: "p", secret }, 7, Buffer.alloc(16, 1));
    expect(packet.readUInt16BE(2)).toBe(packet.length);
    const unsigned = Buffer.from(packet);
    unsigned.fill(0, 22, 38);
    expect(packet.subarray(22, 38)).toEqual(createHmac("md5", secret).update(unsigned).digest());
  });

  it("wants Access-Accept, signed with the secret", async () => {
    expect(await check((q) => answer(q, 2))).toMatchObject({ ok: true, detail: "Access-Accept" });
    expect(await check((q) => answer(q, 3, secret, Buffer.from("\x12\x05no!")))).toMatchObject({
      ok: false,
      reason: "login",
      detail: "Access-Reject: no!",
    });
    expect(await check((q) => answer(q, 11))).toMatchObject({ ok: false });
    expect(await check((q) => answer(q, 2, "other"))).toMatchObject({
      ok: false,
      detail: "the answer is signed with another secret",
    });
  });

  it("overlooks answers to other requests", async () => {
    const late = (q: Buffer): Buffer =>
      answer(Buffer.concat([q.subarray(0, 1), Buffer.from([q[1]! ^ 1]), q.subarray(2)]), 2);
    expect(await check(late)).toMatchObject({ ok: false, reason: "timeout" });
  });
});
