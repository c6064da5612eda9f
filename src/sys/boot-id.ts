/**
 * Which boot of the machine this is.
 * @module
 */
import { readFileSync } from "node:fs";

/** Another one after every boot; the same in every namespace. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
