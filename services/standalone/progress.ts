import type { Writable } from 'node:stream';
import { styleOf, type Style } from '#platform/terminal.ts';

/** What the demo knows at one instant, for people who watch it. Energies in Wh. */
export interface DemoProgress {
  /** Unix seconds of the demo's clock. */
  readonly nowS: number;
  readonly plants: readonly PlantProgress[];
  readonly messages: number;
  readonly messagesPerS: number;
  readonly sealedHours: number;
  readonly certifiedWh: number;
  readonly treeSize: number;
  readonly proofFiles: number;
  /** Messages that did not count, by reason code. */
  readonly refused: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}

export interface PlantProgress {
  readonly name: string;
  readonly source: string;
  readonly sealedHours: number;
  /** Of its latest sealed hour; `committed` for consumption, whose energy is nobody's business. */
  readonly last: { readonly state: string; readonly energyWh: number | undefined } | undefined;
  readonly certifiedWh: number;
}

const reasonTexts: Readonly<Record<string, string>> = {
  alg: 'wrong algorithm',
  fork: 'two messages under one number',
  form: 'malformed',
  future: 'from the future',
  key: 'unknown key',
  late: 'too late',
  log: 'for another log',
  meter: 'for another meter',
  order: 'out of order',
  plant: 'for another plant',
  signature: 'altered: the signature does not fit',
  size: 'too large',
  span: "outside the key's time",
  topic: "on another meter's topic",
};

export function formatWh(wh: number): string {
  return wh.toLocaleString('en-US').replaceAll(',', ' ');
}

export function formatTime(s: number): string {
  return new Date(s * 1000).toISOString().slice(0, 16).replace('T', ' ');
}

/** What did not count, each reason with how often. */
export function describeRefused({ refused }: Pick<DemoProgress, 'refused'>): string {
  if (refused.size === 0) return 'nothing refused';
  const reasons = [...refused].map(([code, count]) => `${count} ${reasonTexts[code] ?? code}`);
  return `refused: ${reasons.join(', ')}`;
}

/** The whole picture as lines, for a terminal that is `columns` wide. */
export function renderScreen(
  progress: DemoProgress,
  { columns, style }: { columns: number; style: Style },
): readonly string[] {
  const width = Math.max(...progress.plants.map(({ name }) => name.length), 12);
  const head = `  ${'plant'.padEnd(width)}  ${'source'.padEnd(7)} ${'sealed'.padStart(6)}  ${'last hour'.padEnd(10)} ${'energy, Wh'.padStart(14)} ${'certified, Wh'.padStart(16)}`;
  const rows = progress.plants.map((plant) => plantRow(plant, width, style));
  return [
    `${style.bold('Hourseal')}  ${formatTime(progress.nowS)} UTC ${style.faint('(simulated)')}`,
    '',
    style.faint(head.slice(0, columns)),
    ...rows,
    '',
    `  ${formatWh(progress.messages)} messages accepted, ${progress.messagesPerS.toFixed(0)}/s; ${progress.sealedHours} hours sealed; log of ${formatWh(progress.treeSize)} entries`,
    `  ${style.green(`${formatWh(progress.certifiedWh)} Wh certified`)}, ${progress.proofFiles} proof files`,
    `  ${(progress.refused.size === 0 ? style.faint : style.red)(describeRefused(progress))}`,
    ...progress.notes.map((note) => style.amber(`  ${note}`)),
  ];
}

function plantRow(plant: PlantProgress, width: number, style: Style): string {
  const state = plant.last?.state ?? 'waiting';
  const mark =
    state === 'measured' || state === 'committed'
      ? style.green
      : state === 'disputed'
        ? style.red
        : style.amber;
  const energy = plant.last?.energyWh === undefined ? '' : formatWh(plant.last.energyWh);
  return [
    ` ${plant.name.padEnd(width)} `,
    plant.source.padEnd(7),
    String(plant.sealedHours).padStart(6),
    ` ${mark(state.padEnd(10))}`,
    energy.padStart(14),
    formatWh(plant.certifiedWh).padStart(16),
  ].join(' ');
}

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Shows progress: redrawn in place on a terminal, otherwise one line for each simulated hour. */
export interface ProgressView {
  readonly show: (progress: DemoProgress) => void;
  readonly say: (line: string) => void;
}

export function createProgressView(out: Output): ProgressView {
  return out.isTTY === true ? liveView(out) : lineView(out);
}

/** The picture stays at the bottom; what is said scrolls away above it. */
function liveView(out: Output): ProgressView {
  const style = styleOf(out, process.env);
  let picture: readonly string[] = [];
  const redraw = (above: string, next: readonly string[]): void => {
    const erase = picture.length === 0 ? '' : `\u001b[${picture.length}A\u001b[0J`;
    out.write(`${erase}${above}${next.map((line) => `${line}\n`).join('')}`);
    picture = next;
  };
  return {
    show: (progress) => {
      redraw('', renderScreen(progress, { columns: out.columns ?? 80, style }));
    },
    say: (line) => {
      redraw(`${line}\n`, picture);
    },
  };
}

function lineView(out: Writable): ProgressView {
  let shownHour = -1;
  return {
    show(progress) {
      const hour = Math.floor(progress.nowS / 3600);
      if (hour === shownHour) return;
      shownHour = hour;
      out.write(
        `${formatTime(progress.nowS)}  ${progress.messages} messages, ${progress.sealedHours} hours sealed, ${formatWh(progress.certifiedWh)} Wh certified, ${progress.proofFiles} proof files, ${describeRefused(progress)}\n`,
      );
    },
    say(line) {
      out.write(`${line}\n`);
    },
  };
}
