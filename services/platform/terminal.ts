import type { Writable } from 'node:stream';

/** What the commands end with; documented in the README, relied upon by scripts. */
export const exitCodes = {
  verified: 0,
  failed: 1,
  usage: 2,
  unreadable: 3,
  undecided: 4,
} as const;

export interface Style {
  readonly green: (text: string) => string;
  readonly amber: (text: string) => string;
  readonly red: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly bold: (text: string) => string;
}

/** Where a command writes. Tests give their own. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly style: Style;
}

const paint =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;
const plain = (text: string): string => text;

const colours: Style = {
  green: paint(32, 39),
  amber: paint(33, 39),
  red: paint(31, 39),
  faint: paint(2, 22),
  bold: paint(1, 22),
};
const noColours: Style = { green: plain, amber: plain, red: plain, faint: plain, bold: plain };

/** Colour only on a terminal, and not where NO_COLOR asks for none (no-color.org). */
export function styleOf(
  out: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  return out.isTTY === true && (environment.NO_COLOR ?? '') === '' ? colours : noColours;
}

export function createTerminal(
  stdout: Writable & { readonly isTTY?: boolean },
  stderr: Writable,
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  return {
    out: (text) => {
      stdout.write(text);
    },
    err: (text) => {
      stderr.write(text);
    },
    style: styleOf(stdout, environment),
  };
}
