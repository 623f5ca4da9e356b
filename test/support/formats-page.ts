import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The page that says what the formats are; tests and `refresh-formats.ts` read it here. */
export const formatsPage = fileURLToPath(
  new URL('../../services/core/FORMATS.md', import.meta.url),
);

/** The text of each fenced code block whose info string `isWanted`, by that string. */
export function fences(
  isWanted: (info: string) => boolean,
  path = formatsPage,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  replaceFences(readFileSync(path, 'utf8'), (info, text) => {
    if (isWanted(info)) {
      if (found.has(info)) throw new Error(`${path}: ${info} is there twice`);
      found.set(info, text);
    }
    return text;
  });
  return found;
}

/** A worked example of the page as it is now, without its last newline. Throws when there is none. */
export function exampleOnPage(name: string): string {
  const [text] = fences((info) => info.endsWith(` example=${name}`)).values();
  if (text === undefined) throw new Error(`${formatsPage} has no example ${name}`);
  return text.slice(0, -1);
}

/** The page with the text of every fenced code block replaced. Throws on a block left open. */
export function replaceFences(
  page: string,
  textOf: (info: string, text: string) => string,
): string {
  const out: string[] = [];
  let open: { info: string; lines: string[] } | undefined;
  for (const line of page.split('\n')) {
    if (open === undefined) {
      const info = /^```(.*)$/.exec(line)?.[1];
      if (info !== undefined) open = { info, lines: [] };
      out.push(line);
    } else if (line === '```') {
      const text = textOf(open.info, open.lines.map((one) => `${one}\n`).join(''));
      out.push(...text.split('\n').slice(0, -1), line);
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`a code block is not closed: ${open.info}`);
  return out.join('\n');
}

/** The page with another text in the chapter of that title. Throws when it has no such chapter. */
export function replaceChapter(page: string, title: string, text: string): string {
  const heading = `\n## ${title}\n`;
  const from = page.indexOf(heading);
  if (from < 0) throw new Error(`the page has no chapter ${title}`);
  const start = from + heading.length;
  const next = page.indexOf('\n## ', start);
  return `${page.slice(0, start)}\n${text}\n${next < 0 ? '' : page.slice(next)}`;
}
