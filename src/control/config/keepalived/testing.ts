/**
 * For tests of the readers: a configuration from a text, in memory.
 * @module
 */
import { memoryFiles } from "../files.ts";
import { type Reading, type ReadOptions, readKeepalived } from "./index.ts";

/** Reads a text as /etc/k.conf, with other files beside it. */
export function reading(
  text: string,
  options: ReadOptions = {},
  others: Record<string, string> = {},
): Reading {
  const files = memoryFiles({ "/etc/k.conf": text, ...others }, ["/bin/true", "/bin/check"]);
  return readKeepalived("/etc/k.conf", { files, hostName: "host.example", random: () => 7, ...options });
}

/** `LINE:COLUMN severity code` of every message. */
export const codes = ({ diagnostics }: Reading): string[] =>
  diagnostics.map(({ at, severity, code }) => `${at.line}:${at.column} ${severity} ${code}`);

/** A virtual server with one real server around some lines. */
export const around = (checker: string, server = "", service = ""): string =>
  `virtual_server 10.0.0.1 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n${service}\n real_server 10.0.1.1 8080 {\n${server}\n${checker}\n }\n}\n`;
