import pg from 'pg';
import { Failed } from '#core/errors.ts';

/** SQLSTATE (PostgreSQL, appendix A) to our code, for what may succeed when tried again. */
const failures: Readonly<Record<string, string>> = {
  '40001': 'serialization',
  '40P01': 'deadlock',
  '55P03': 'lock-timeout',
  '57014': 'statement-timeout',
  '25P03': 'database-down',
  '57P01': 'database-down',
  '57P02': 'database-down',
  '57P03': 'database-down',
  '57P05': 'database-down',
};
/** Classes: connection exception, insufficient resources, system error. */
const failingClasses: Readonly<Record<string, string>> = {
  '08': 'database-down',
  '53': 'database-resources',
  '58': 'database-down',
};
/** How `pg` itself words the loss of a connection; it gives these errors no code. */
const lostConnection =
  /connection terminated|timeout expired|timeout exceeded when trying to connect|query read timeout|client has encountered a connection error|connection error and is not queryable|cannot use a pool after calling end|client was closed/i;

/**
 * Failed('serialization' | 'deadlock' | 'lock-timeout' | 'statement-timeout' | 'database-resources'
 * | 'database-down') with the original as `cause` when the work may be tried again as it is; any
 * other error comes back unchanged.
 */
export function asFailure(error: unknown): unknown {
  if (error instanceof pg.DatabaseError) {
    const state = error.code ?? '';
    const code = failures[state] ?? failingClasses[state.slice(0, 2)];
    return code === undefined ? error : new Failed(code, error.message, { cause: error });
  }
  if (!(error instanceof Error) || error instanceof Failed) return error;
  if (isSystemError(error) || lostConnection.test(error.message)) {
    const text = `the database cannot be reached: ${error.message}`;
    return new Failed('database-down', text, { cause: error });
  }
  return error;
}

function isSystemError(error: Error): boolean {
  return 'syscall' in error || (error instanceof AggregateError && 'code' in error);
}

/** The SQLSTATE behind an error, its causes included; undefined when no server said it. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  return error instanceof Error && error.cause !== undefined ? sqlState(error.cause) : undefined;
}

/** The name of the constraint (or exclusion, or unique index) that a statement broke. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError)) return undefined;
  return error.code?.startsWith('23') === true ? (error.constraint ?? error.column) : undefined;
}
