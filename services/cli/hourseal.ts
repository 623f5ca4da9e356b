import { createTerminal } from '#platform/terminal.ts';
import { run } from './run.ts';

/** The command `hourseal`. */
const terminal = createTerminal(process.stdout, process.stderr, process.env);
process.exitCode = await run(process.argv.slice(2), terminal);
