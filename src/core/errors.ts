/**
 * Refusals of the virtual server table. Every plane answers with these, whatever it is made of, so that `ipvsadm` prints
 * the same words everywhere. Codes and situations: errno table of the kernel's IPVS generic netlink family
 * (`net/netfilter/ipvs/ip_vs_ctl.c`).
 * @module
 */

/** The errno names that the table answers with. */
export type TableErrorCode =
  | "EEXIST"
  | "ESRCH"
  | "ENOENT"
  | "EINVAL"
  | "ERANGE"
  | "ENODEV"
  | "EPERM"
  | "EAFNOSUPPORT"
  | "EOPNOTSUPP"
  | "ENOMEM"
  | "EMSGSIZE"
  | "ENOPROTOOPT"
  | "EIO";

/** A request that the table refused; nothing was changed. */
export class TableError extends Error {
  override readonly name = "TableError";
  /** Stable code for programs. */
  readonly code: TableErrorCode;
  /** `message` is for people: which value, which rule, what to do. */
  constructor(code: TableErrorCode, message: string) {
    super(message);
    this.code = code;
  }
  /** By name: a plane built into a file of its own has this class a second time. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isError(value, "TableError");
  }
}

/** A plane was asked for something it cannot do; names the plane that can. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
  readonly code = "EUNSUPPORTED";
  /** By name, as with {@link TableError}. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isError(value, "UnsupportedError");
  }
}

const isError = (value: unknown, name: string): boolean => value instanceof Error && value.name === name;
