/**
 * keepalived's words about checks, in the shape the supervisor asks for.
 * @module
 */
import { keepalivedFailureWords, keepalivedMailWords, keepalivedWords } from "../../control/checks/words.ts";
import type { CheckWords } from "../../control/supervision.ts";

/** Words for the log and for mail. */
export const checkWords: CheckWords = (spec, what, verdict, about) => ({
  log:
    what === "failure" ? keepalivedFailureWords(spec, verdict, about) : keepalivedWords(spec, verdict, about),
  mail: keepalivedMailWords(spec, what === "ok"),
});
