/**
 * What a command needs of the process it runs in, so that tests can run it in their own.
 * @module
 */

/** Streams and circumstances of one run. */
export interface Io {
  /** Name in messages: what the user called the command by. */
  readonly program: string;
  /** Everything on stdin, in chunks as they arrive. */
  stdin(): AsyncIterable<string>;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Whether a person reads stderr; asked only when something failed. */
  stderrIsTerminal(): boolean;
}
