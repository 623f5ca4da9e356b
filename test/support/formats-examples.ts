import { readFileSync } from 'node:fs';

/**
 * The worked examples of a page: its fenced code blocks whose info string is a language and
 * `example=<name>`. A block's text is its lines, each with its newline; a format that ends without
 * one is compared after cutting the last. Throws on a name given twice and on a block left open.
 */
export function examples(path: string): Map<string, string> {
  const found = new Map<string, string>();
  let open: { name: string | undefined; lines: string[] } | undefined;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (open === undefined) {
      const info = /^```(.*)$/.exec(line)?.[1];
      if (info !== undefined) open = { name: /\bexample=([\w-]+)$/.exec(info)?.[1], lines: [] };
    } else if (line === '```') {
      const { name, lines } = open;
      open = undefined;
      if (name === undefined) continue;
      if (found.has(name)) throw new Error(`${path}: example ${name} is there twice`);
      found.set(name, lines.map((text) => `${text}\n`).join(''));
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`${path}: a code block is not closed`);
  return found;
}
