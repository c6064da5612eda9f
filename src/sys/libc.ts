/**
 * The C library's system calls, by koffi, and the errors they give. The one file that declares foreign functions; what they
 * are good for is in its neighbours.
 *
 * Buffers passed in must be off the JavaScript heap (`new Uint8Array(new ArrayBuffer(n))`) when the kernel keeps their address
 * beyond the call, as in the vectors of `recvmmsg`.
 * @module
 */
import { constants } from "node:os";
import koffi from "koffi";

const ERRNO = constants.errno as unknown as Record<string, number>;
const NAME_OF_ERRNO = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));

/** The name of an error number: 1 is "EPERM". */
export const errnoName = (errno: number): string => NAME_OF_ERRNO.get(errno) ?? `errno ${errno}`;

/** A system call that failed. */
export class SysError extends Error {
  override readonly name = "SysError";
  /** Name of the error, "EPERM" ... */
  readonly code: string;
  readonly errno: number;
  /** The call that failed, "setns" ... */
  readonly call: string;

  /** `what` says what was being tried, for people. */
  constructor(call: string, errno: number, what = "") {
    const code = errnoName(errno);
    super(what ? `${what}: ${call}: ${code}` : `${call}: ${code}`);
    this.code = code;
    this.errno = errno;
    this.call = call;
  }
}

const lib = koffi.load(null);

/** Pointers are Uint8Array (the call uses them while it runs), numbers or bigints (addresses), or null. */
type Pointer = Uint8Array | bigint | number | null;

/** Declares each function once, at its first use: declaring all costs start-up time. */
const lazily = <T extends (...args: never[]) => number>(definition: string): T => {
  let f: T | undefined;
  return ((...args: never[]) => {
    f ??= lib.func(definition) as unknown as T;
    return f(...args);
  }) as T;
};

/** The functions as C has them: -1 on error, then {@link lastErrno}. */
export const raw = {
  socket: lazily<(domain: number, type: number, protocol: number) => number>("int socket(int, int, int)"),
  close: lazily<(fd: number) => number>("int close(int)"),
  bind: lazily<(fd: number, address: Pointer, length: number) => number>("int bind(int, void *, uint32_t)"),
  connect: lazily<(fd: number, address: Pointer, length: number) => number>(
    "int connect(int, void *, uint32_t)",
  ),
  getsockname: lazily<(fd: number, address: Pointer, length: Pointer) => number>(
    "int getsockname(int, void *, void *)",
  ),
  setsockopt: lazily<(fd: number, level: number, name: number, value: Pointer, length: number) => number>(
    "int setsockopt(int, int, int, void *, uint32_t)",
  ),
  getsockopt: lazily<(fd: number, level: number, name: number, value: Pointer, length: Pointer) => number>(
    "int getsockopt(int, int, int, void *, void *)",
  ),
  open: lazily<(path: string, flags: number, mode: number) => number>("int open(const char *, int, int)"),
  mkfifo: lazily<(path: string, mode: number) => number>("int mkfifo(const char *, uint32_t)"),
  read: lazily<(fd: number, bytes: Pointer, length: number) => number>("long read(int, void *, size_t)"),
  write: lazily<(fd: number, bytes: Pointer, length: number) => number>("long write(int, void *, size_t)"),
  ioctl: lazily<(fd: number, request: number, argument: Pointer) => number>("int ioctl(int, ulong, void *)"),
  setns: lazily<(fd: number, type: number) => number>("int setns(int, int)"),
  unshare: lazily<(flags: number) => number>("int unshare(int)"),
  flock: lazily<(fd: number, operation: number) => number>("int flock(int, int)"),
  recv: lazily<(fd: number, bytes: Pointer, length: number, flags: number) => number>(
    "long recv(int, void *, size_t, int)",
  ),
  recvfrom: lazily<
    (
      fd: number,
      bytes: Pointer,
      length: number,
      flags: number,
      address: Pointer,
      addressLength: Pointer,
    ) => number
  >("long recvfrom(int, void *, size_t, int, void *, void *)"),
  sendto: lazily<
    (
      fd: number,
      bytes: Pointer,
      length: number,
      flags: number,
      address: Pointer,
      addressLength: number,
    ) => number
  >("long sendto(int, void *, size_t, int, void *, uint32_t)"),
  sendmsg: lazily<(fd: number, header: Pointer, flags: number) => number>("long sendmsg(int, void *, int)"),
  /** Numbers only: addresses as {@link addressOf} gives them. */
  syscall: lazily<(number: number, a: number, b: number, c: number) => number>(
    "long syscall(long, long, uintptr_t, long)",
  ),
  /** The address, or all ones (see {@link MAP_FAILED}). */
  mmap: lazily<
    (address: number, length: number, protection: number, flags: number, fd: number, offset: number) => number
  >("uintptr_t mmap(uintptr_t, size_t, int, int, int, long)"),
  munmap: lazily<(address: number, length: number) => number>("int munmap(uintptr_t, size_t)"),
  mount: lazily<(source: string, target: string, type: string, flags: number, data: string) => number>(
    "int mount(const char *, const char *, const char *, ulong, const char *)",
  ),
  umount2: lazily<(target: string, flags: number) => number>("int umount2(const char *, int)"),
  recvmsg: lazily<(fd: number, header: Pointer, flags: number) => number>("long recvmsg(int, void *, int)"),
  clock_gettime: lazily<(clock: number, time: Pointer) => number>("int clock_gettime(int, void *)"),
  sched_setscheduler: lazily<(pid: number, policy: number, parameters: Pointer) => number>(
    "int sched_setscheduler(int, int, void *)",
  ),
  recvmmsg: lazily<(fd: number, headers: Pointer, count: number, flags: number, timeout: Pointer) => number>(
    "int recvmmsg(int, void *, uint, int, void *)",
  ),
};

/** What `mmap` gives when it failed, as a number. */
export const MAP_FAILED = 2 ** 64;

/** Memory at an address, as bytes; it must stay mapped as long as they are used. */
export const viewOf = (address: number, length: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(koffi.view(address, length));

/** errno of the last call through {@link raw}; read it at once. */
export const lastErrno = (): number => koffi.errno();

/** The result of a call, or a {@link SysError} for -1. */
export function check(call: string, result: number, what?: string): number {
  if (result < 0) throw new SysError(call, koffi.errno(), what);
  return result;
}

/** Address of an off-heap buffer in this process. The buffer must be kept alive by whoever uses the address. */
export const addressOf = (bytes: Uint8Array): number => Number(koffi.address(bytes));

/** Closes a descriptor; closing one that is closed is not an error. */
export function close(fd: number): void {
  if (fd >= 0) raw.close(fd);
}

/** Calls back, on the event loop, when a descriptor has something to read. */
export interface ReadWatch {
  /** Lets the process end while this watch is open. */
  unref(): void;
  close(): void;
}

/** Watches `fd` until closed; `onReadable` is called again while data is left (level-triggered). */
export function watchReadable(fd: number, onReadable: () => void): ReadWatch {
  const handle = koffi.node.poll(fd, { readable: true }, onReadable);
  let open = true;
  return {
    unref: () => handle.unref(),
    close: () => {
      if (!open) return;
      open = false;
      handle.stop();
      handle.close();
    },
  };
}
