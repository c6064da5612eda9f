import { runProcess } from "./process.ts";
import { restore } from "./wrappers.ts";

void runProcess(restore, "ipvsadm-restore");
