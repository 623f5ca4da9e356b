import type { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { styleOf, type Style } from '#platform/terminal.ts';

/** What the demo knows at one instant, for people who watch it. Energies in Wh. */
export interface DemoProgress {
  /** Unix seconds of the demo's clock. */
  readonly nowS: number;
  readonly plants: readonly PlantProgress[];
  readonly messages: number;
  readonly messagesPerS: number;
  readonly sealedHours: number;
  /** Among the sealed ones: their meters contradict themselves, and nothing is issued for them. */
  readonly disputedHours: number;
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
export function describeRefused({
  refused,
  disputedHours,
}: Pick<DemoProgress, 'refused' | 'disputedHours'>): string {
  const reasons = [...refused].map(([code, count]) => `${count} ${reasonTexts[code] ?? code}`);
  const messages = reasons.length === 0 ? 'nothing refused' : `refused: ${reasons.join(', ')}`;
  return disputedHours === 0 ? messages : `${messages}; ${disputedHours} hours disputed`;
}

function isQuiet({ refused, disputedHours }: DemoProgress): boolean {
  return refused.size === 0 && disputedHours === 0;
}

/** The whole picture as lines, for a terminal that is `columns` wide. */
export function renderScreen(
  progress: DemoProgress,
  { columns, style }: { columns: number; style: Style },
): readonly string[] {
  const width = Math.max(...progress.plants.map(({ name }) => name.length), 12);
  const head = plantLine(
    ['plant', 'source', 'sealed', 'last hour', 'energy, Wh', 'certified, Wh'],
    width,
  );
  const say = isQuiet(progress) ? style.faint : style.red;
  const lines = [
    `${style.bold('Hourseal')}  ${formatTime(progress.nowS)} UTC ${style.faint('(simulated)')}`,
    '',
    style.faint(head),
    ...progress.plants.map((plant) => plantRow(plant, width, style)),
    '',
    ` ${formatWh(progress.messages)} messages accepted, ${progress.messagesPerS.toFixed(0)}/s; ${progress.sealedHours} hours sealed; log of ${formatWh(progress.treeSize)} entries`,
    ` ${style.green(`${formatWh(progress.certifiedWh)} Wh certified`)}, ${progress.proofFiles} proof files`,
    ...wrap(describeRefused(progress), columns - 2).map((line) => ` ${say(line)}`),
    ...progress.notes.flatMap((note) => wrap(note, columns - 2)).map(style.amber),
  ];
  return lines.map((line) => clip(line, columns));
}

/** Breaks plain text at spaces into lines of at most `columns`. */
function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** A line that the terminal wraps would be two, and the next picture would be drawn one too low. */
function clip(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length > columns ? plain.slice(0, columns) : line;
}

type PlantCells = readonly [string, string, string, string, string, string];

/** 79 columns for the demo's plants, so that it fits the narrowest terminal in use. */
function plantLine(
  [name, source, sealed, last, energy, certified]: PlantCells,
  width: number,
  mark: (text: string) => string = (text) => text,
): string {
  return [
    ` ${name.padEnd(width)}`,
    source.padEnd(6),
    sealed.padStart(6),
    ` ${mark(last.padEnd(9))}`,
    energy.padStart(14),
    certified.padStart(16),
  ].join(' ');
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
  const source = plant.source === 'none' ? '' : plant.source;
  const sealed = String(plant.sealedHours);
  const cells = [plant.name, source, sealed, state, energy, formatWh(plant.certifiedWh)] as const;
  return plantLine(cells, width, mark);
}

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Shows progress: redrawn in place on a terminal, otherwise one line for each simulated hour. */
export interface ProgressView {
  readonly show: (progress: DemoProgress) => void;
  readonly say: (line: string) => void;
  /** Leaves the picture where it is: what is said from now on comes after it. */
  readonly rest: () => void;
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
    rest: () => {
      picture = [];
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
    rest: () => undefined,
  };
}
