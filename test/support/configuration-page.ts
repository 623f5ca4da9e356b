import { fileURLToPath } from 'node:url';
import { brokerVariables } from '#broker/config.ts';
import { externalBrokerVariables, ingestionVariables } from '#ingestion/config.ts';
import { ledgerVariables } from '#ledger/config.ts';
import { describeConfig, type Variables } from '#platform/config.ts';
import { kafkaVariables } from '#platform/kafka/config.ts';
import { standaloneVariables } from '#standalone/config.ts';
import { witnessVariables } from '#witness/config.ts';

/** A table of variables of the environment, on the page of those who set them. */
export interface ConfigurationTable {
  /** The one that everybody reads, or that of whoever runs the services one by one. */
  readonly page: 'README.md' | 'services/README.md';
  readonly heading: string;
  /** By the name under which the code exports it. */
  readonly variables: Readonly<Record<string, Variables>>;
}

export const configurationTables: readonly ConfigurationTable[] = [
  {
    page: 'README.md',
    heading: 'Configuration',
    variables: { standaloneVariables, brokerVariables, ingestionVariables },
  },
  { page: 'services/README.md', heading: 'Ledger', variables: { ledgerVariables } },
  {
    page: 'services/README.md',
    heading: 'Ingestion behind an external broker',
    variables: { externalBrokerVariables },
  },
  { page: 'services/README.md', heading: 'Kafka', variables: { kafkaVariables } },
  { page: 'services/README.md', heading: 'Witness', variables: { witnessVariables } },
];

/** What is read by its bare name, of which a page speaks in words. */
export const namedInWords: Readonly<Record<string, string>> = { NO_COLOR: 'services/README.md' };

export function pathOf(page: string): string {
  return fileURLToPath(new URL(`../../${page}`, import.meta.url));
}

/** The cells of a table, row by row: name, meaning with its unit, default. */
export function configurationRows({ variables }: ConfigurationTable): string[][] {
  return Object.values(variables)
    .flatMap(describeConfig)
    .map(({ name, about, unit, defaultText, required }) => [
      `\`${name}\``,
      [about, unit].filter((part) => part !== '').join(', in '),
      required ? 'must be set' : defaultText === '' ? '' : `\`${defaultText}\``,
    ]);
}

const isRow = (line: string): boolean => line.startsWith('|');

/** The rows of the table that comes first below a heading, cells trimmed, without head and rule. */
export function tableBelow(page: string, heading: string): string[][] {
  return tableLines(page, heading)
    .lines.slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The page with other rows in that table. */
export function withTable(
  page: string,
  heading: string,
  rows: readonly (readonly string[])[],
): string {
  const { before, lines, after } = tableLines(page, heading);
  const written = rows.map((cells) => `| ${cells.join(' | ')} |`);
  return [...before, ...lines.slice(0, 2), ...written, ...after].join('\n');
}

function tableLines(
  page: string,
  heading: string,
): { readonly before: string[]; readonly lines: string[]; readonly after: string[] } {
  const all = page.split('\n');
  const start = all.indexOf(`## ${heading}`);
  const next = all.findIndex((line, i) => i > start && line.startsWith('## '));
  const from = all.findIndex((line, i) => i > start && isRow(line));
  if (start < 0 || from < 0 || (next >= 0 && from > next)) {
    throw new Error(`there is no table below ${heading}`);
  }
  const to = all.findIndex((line, i) => i > from && !isRow(line));
  return { before: all.slice(0, from), lines: all.slice(from, to), after: all.slice(to) };
}
