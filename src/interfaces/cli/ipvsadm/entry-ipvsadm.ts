import { run } from "./main.ts";
import { runProcess } from "./process.ts";

void runProcess(run, "ipvsadm");
