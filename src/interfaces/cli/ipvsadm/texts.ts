/**
 * The messages that ipvsadm has always had, word for word.
 * @module
 */
import type { TableErrorCode } from "../../../core/errors.ts";
import type { CommandName } from "./command.ts";

/** Printed by `-v`; the version that this command stands in for. */
export const VERSION = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/** No usable command word. */
export const tryHelp = (program: string): string =>
  `Try \`${program} -h' or '${program} --help' for more information.`;

/** There is no table to talk to. */
export const cannotInitialize = (reason: string): string =>
  `Can't initialize ipvs: ${reason}\nAre you sure that IP Virtual Server is built in the kernel or as module?`;

/** The C library's and ipvsadm's words for what the table answered, whatever the command. */
const GENERAL: Readonly<Record<TableErrorCode, string>> = {
  EPERM: "Permission denied (you must be root)",
  EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
  ENOPROTOOPT: "Protocol not available",
  ENOMEM: "Memory allocation problem",
  EOPNOTSUPP: "Operation not supported with IPv6",
  EAFNOSUPPORT: "Operation not supported with specified address family",
  EMSGSIZE: "Module is wrong version",
  ERANGE: "Numerical result out of range",
  ENODEV: "No such device",
  EEXIST: "File exists",
  ESRCH: "No such process",
  ENOENT: "No such file or directory",
  EIO: "Input/output error",
};

const NO_SERVICE = "No such service";
const NOT_DEFINED = "Service not defined";
const NO_KIND = "Scheduler or persistence engine not found";
const NO_DESTINATION = "No such destination";

/** Words that depend on the command. */
const SPECIAL: Partial<Record<CommandName, Partial<Record<TableErrorCode, string>>>> = {
  "add-service": { EEXIST: "Service already exists", ENOENT: NO_KIND },
  "edit-service": { ESRCH: NO_SERVICE, ENOENT: NO_KIND },
  "delete-service": { ESRCH: NO_SERVICE },
  zero: { ESRCH: NO_SERVICE },
  list: { ESRCH: NO_SERVICE },
  "add-server": { ESRCH: NOT_DEFINED, EEXIST: "Destination already exists" },
  "edit-server": { ESRCH: NOT_DEFINED, ENOENT: NO_DESTINATION },
  "delete-server": { ESRCH: NOT_DEFINED, ENOENT: NO_DESTINATION },
  "start-daemon": { EEXIST: "Daemon has already run" },
  "stop-daemon": { ESRCH: "No daemon is running" },
};

/** What to say when the table refuses a command. */
export const refusal = (command: CommandName | undefined, code: TableErrorCode): string =>
  (command && SPECIAL[command]?.[code]) ?? GENERAL[code];
