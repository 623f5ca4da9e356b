import pino, { type DestinationStream, type Logger } from 'pino';

export type { Logger };

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Members that hold secrets, at the top of a line and one level down. Keys are never logged. */
const secrets = [
  'password',
  'pem',
  'privateKey',
  'seed',
  'secret',
  'token',
  'authorization',
  'connectionString',
  'databaseUrl',
  'd',
];

/**
 * JSON lines: level by name, time in ISO 8601 (the machine's, whatever the injected clock says:
 * a log tells what the process did). Errors go under `err`, with their causes. To standard error by
 * default: standard output belongs to what a command prints.
 */
export function createLogger(options: {
  readonly name: string;
  readonly level?: LogLevel;
  readonly destination?: DestinationStream;
  /** A file to append to instead, where standard error belongs to something else. */
  readonly file?: string;
}): Logger {
  const { file } = options;
  const own = file === undefined ? { fd: 2 } : { dest: file };
  const destination = options.destination ?? pino.destination({ ...own, sync: true });
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      timestamp: pino.stdTimeFunctions.isoTime,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    destination,
  );
}
