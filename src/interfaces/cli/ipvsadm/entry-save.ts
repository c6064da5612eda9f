import { runProcess } from "./process.ts";
import { save } from "./wrappers.ts";

void runProcess(save, "ipvsadm-save");
