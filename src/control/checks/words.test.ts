import { describe, expect, it } from "vitest";
import type { CheckSpec, Verdict } from "./check.ts";
import { checkKey } from "./key.ts";
import { keepalivedFailureWords, keepalivedMailWords, keepalivedWords } from "./words.ts";

const target = { family: 4, address: "10.0.0.21", port: 80 } as const;
const common = { target, timeoutMs: 1000 };
const up: Verdict = { ok: true, detail: "connected", latencyMs: 1 };
const down = (detail: string, reason: NonNullable<Verdict["reason"]>): Verdict => ({
  ok: false,
  detail,
  reason,
  latencyMs: 1,
});
const tcp: CheckSpec = { ...common, kind: "tcp" };
const http: CheckSpec = { ...common, kind: "http", tls: false, version: "1.0", method: "GET", urls: [] };
const smtp: CheckSpec = { ...common, kind: "smtp", helo: "x" };
const misc: CheckSpec = { ...common, kind: "misc", command: ["/bin/x", "a"], dynamic: false };
const about = { service: "[10.0.0.20]:tcp:80", retries: 3 };

describe("keepalived's words", () => {
  it("for a server that goes up", () => {
    expect(keepalivedWords(tcp, up)).toBe("TCP connection to [10.0.0.21]:tcp:80 success.");
    expect(keepalivedWords(http, up)).toBe("Remote Web server [10.0.0.21]:tcp:80 succeed on service.");
    expect(keepalivedWords(smtp, up)).toBe("Remote SMTP server [10.0.0.21]:tcp:80 succeed on service.");
    expect(keepalivedWords(misc, up, about)).toBe(
      "Misc check for [[10.0.0.21]:tcp:80 [10.0.0.20]:tcp:80] by [/bin/x] succeeded.",
    );
    expect(keepalivedWords({ ...common, kind: "udp" }, up)).toBe(
      "UDP connection to [10.0.0.21]:udp:80 success.",
    );
  });

  it("for a server that goes down, with and without retries", () => {
    const refused = down("connection refused", "refused");
    expect(keepalivedWords(tcp, refused, about)).toBe(
      "TCP_CHECK on service [10.0.0.21]:tcp:80 failed after 3 retries.",
    );
    expect(keepalivedWords(tcp, refused)).toBe("TCP_CHECK on service [10.0.0.21]:tcp:80 failed.");
    expect(keepalivedWords(smtp, down("greeting 554", "greeting"))).toBe(
      "SMTP_CHECK Bad greeting banner from server [10.0.0.21]:tcp:80",
    );
    expect(keepalivedWords({ ...common, kind: "ping" }, refused, about)).toBe(
      "ICMP CHECK on service [10.0.0.21]:tcp:80 of [10.0.0.20]:tcp:80 failed after 3 retries.",
    );
    expect(keepalivedWords(misc, down("exited with status 1", "program"), { service: about.service })).toBe(
      "Misc check for [[10.0.0.21]:tcp:80 [10.0.0.20]:tcp:80] by [/bin/x] failed with retry disabled (exited with status 1).",
    );
    expect(keepalivedWords(misc, down("timed out after 1 s", "timeout"))).toMatch(
      /timed out with retry disabled\.$/,
    );
  });

  it("for single failures, and in mail", () => {
    expect(keepalivedFailureWords(tcp, down("timeout", "timeout"))).toBe(
      "TCP connection to [10.0.0.21]:tcp:80 timeout.",
    );
    expect(keepalivedFailureWords(http, down("status 500", "status"))).toBe(
      "HTTP status code error to server [10.0.0.21]:tcp:80.",
    );
    expect(keepalivedFailureWords(http, down("digest", "digest"))).toBe(
      "MD5 digest error to server [10.0.0.21]:tcp:80.",
    );
    expect(keepalivedMailWords(tcp, false)).toBe("=> TCP CHECK failed on service <=");
    expect(keepalivedMailWords(http, true)).toBe("=> CHECK succeed on service <=");
  });
});

describe("checkKey()", () => {
  it("is equal for equal questions, however they were written, and no others", () => {
    expect(
      checkKey({ timeoutMs: 1000, kind: "tcp", target: { port: 80, address: "10.0.0.21", family: 4 } }),
    ).toBe(checkKey(tcp));
    expect(checkKey({ ...tcp, target: { ...target, fwmark: undefined } as unknown as typeof target })).toBe(
      checkKey(tcp),
    );
    expect(checkKey({ ...tcp, target: { ...target, fwmark: 1 } })).not.toBe(checkKey(tcp));
    expect(checkKey({ ...tcp, timeoutMs: 2000 })).not.toBe(checkKey(tcp));
    expect(checkKey({ ...http, urls: [{ path: "/", statusCodes: [[200, 299]] }] })).not.toBe(checkKey(http));
  });
});
