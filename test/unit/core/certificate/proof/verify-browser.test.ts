import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { changeProof, honestBundle, honestLog } from '#support/proof-builder.ts';

/** The regulator's browser runs the very verifier that the server runs (D1). */

/** As much of esbuild as is used here; it is tsx that brings it. */
interface Bundler {
  readonly build: (options: object) => Promise<{
    readonly outputFiles: readonly { readonly text: string }[];
    readonly metafile: {
      readonly inputs: Readonly<Record<string, unknown>>;
      readonly outputs: Readonly<
        Record<string, { readonly imports: readonly { readonly path: string }[] }>
      >;
    };
  }>;
}
const require = createRequire(import.meta.url);
const bundler = createRequire(require.resolve('tsx/package.json'))('esbuild') as Bundler;

let bundle: Awaited<ReturnType<Bundler['build']>>;
/** Nothing but what every browser has; of Node, nothing. */
const page: { verifier?: { verifyProof: (bytes: Uint8Array) => Verdict } } & Record<
  string,
  unknown
> = {
  TextEncoder,
  TextDecoder,
};

beforeAll(async () => {
  bundle = await bundler.build({
    entryPoints: ['services/core/certificate/proof/verify.ts'],
    bundle: true,
    conditions: ['browser'],
    format: 'iife',
    globalName: 'verifier',
    logLevel: 'silent',
    metafile: true,
    platform: 'browser',
    write: false,
  });
  runInNewContext(bundle.outputFiles[0]?.text ?? '', page);
});

describe('the verifier, bundled for a browser', () => {
  it('takes nothing of Node along, and the crypto of the browser', () => {
    const files = Object.keys(bundle.metafile.inputs);
    expect(files).toContain('services/core/crypto.browser.ts');
    expect(files.filter((file) => file.includes('.node.ts'))).toEqual([]);
    const imports = Object.values(bundle.metafile.outputs).flatMap((output) => output.imports);
    expect(imports).toEqual([]);
    expect(bundle.outputFiles[0]?.text).not.toMatch(/["']node:/);
  });

  it('gives the same verdict on the same files, to the letter', () => {
    const file = encodeProof(honestLog().parts(honestBundle));
    const files = [
      file,
      changeProof(file, ({ bundle: item }) => (item.to += 1)),
      changeProof(file, ({ messages: [first] }) => {
        if (first !== undefined) first.jws = `${first.jws.slice(0, -3)}AAA`;
      }),
      file.subarray(1),
    ];
    const verdicts = files.map((bytes) => page.verifier?.verifyProof(bytes));
    expect(JSON.stringify(verdicts)).toBe(JSON.stringify(files.map((bytes) => verifyProof(bytes))));
    expect(verdicts.map((verdict) => verdict?.result)).toEqual([
      'undecided',
      'failed',
      'failed',
      'failed',
    ]);
  });
});
