/**
 * The three ways in which work can end badly. What is refused, the sender must change; what failed
 * may be tried again as it is; what is fatal means that our own state can no longer be trusted, and
 * the process must stop before it signs or acknowledges anything more.
 */
abstract class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The input is not acceptable. `code` is stable and named in FORMATS.md; the message is for people. */
export class Refused extends CodedError {}

/** An operation failed although its input was acceptable; it may be tried again. */
export class Failed extends CodedError {}

/** Our own stored state contradicts itself, or its outcome is unknown: stop, start again, recover. */
export class Fatal extends CodedError {}

/** The code of a refusal, or a rethrow: a programming error must never pass for refused input. */
export function refusalCode(error: unknown): string {
  if (error instanceof Refused) return error.code;
  throw error;
}

/** Names the thing that was refused, so that a reason says where and not only what. */
export function within<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(cause.code, `${name}: ${cause.message}`, { cause });
  }
}

/**
 * Of an error and of what came of the work beside it, the one to go by: what may pass later must not
 * hide what never will.
 */
export function worse(error: unknown, beside: PromiseSettledResult<unknown>): unknown {
  if (!(error instanceof Failed) || beside.status === 'fulfilled') return error;
  return beside.reason instanceof Failed ? error : beside.reason;
}
