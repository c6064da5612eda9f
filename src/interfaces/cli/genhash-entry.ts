import { genhash } from "./genhash.ts";

void genhash(process.argv.slice(2), "genhash").then((status) => {
  process.exitCode = status;
});
