import { readFile } from 'node:fs/promises';
import { createPublicKey } from 'node:crypto';
import { decodeUtf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { id, object, text } from '#core/shape.ts';
import { publicKeyFromPem } from '#core/signer.node.ts';
import { addKey, addOcmfKey, enterRequestedKey, requestKey } from '#ledger/meter-keys.ts';
import { readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { atDesk, type OpenDesk, type RegisterOptions } from './entering.ts';
import { writeNewFile } from './read-file.ts';
import { readJson } from './register.ts';

export interface MeterKeyOptions extends RegisterOptions {
  /** Private key on this machine, PEM: for trying out, and for meters that are programs. */
  readonly private?: string;
  /** Public key of a meter that keeps its private key, PEM. */
  readonly public?: string;
  /** Where what the meter must sign is written, and read again. */
  readonly request?: string;
  /** 64 bytes: what the meter made of the request. */
  readonly signature?: string;
  readonly notBefore?: number;
  readonly format: string;
  /** Of a key of OCMF: the device, the last page that does not count, and which pages count. */
  readonly serial?: string;
  readonly after?: number;
  readonly context: string;
}

const usage =
  'hourseal: give --private FILE, or --public FILE --request FILE, or --request FILE --signature FILE,\n' +
  'or --format ocmf --public FILE --serial DEVICE\n';

/**
 * `hourseal meter key`: enters a key of a meter. A key that stays in its meter is entered in two steps:
 * the first writes what the meter must sign, the second brings the signature. A meter that signs OCMF
 * signs nothing else, so its key is entered in one.
 */
export async function enterMeterKey(
  meter: string,
  options: MeterKeyOptions,
  terminal: Terminal,
): Promise<number> {
  const work = workOf(options);
  if (work === undefined) {
    terminal.err(usage);
    return exitCodes.usage;
  }
  return atDesk(options, terminal, (desk) => work(desk, { meter, options, terminal }));
}

interface Asked {
  readonly meter: string;
  readonly options: MeterKeyOptions;
  readonly terminal: Terminal;
}

type Work = (desk: OpenDesk, asked: Asked) => ReturnType<Parameters<typeof atDesk>[2]>;

function workOf(options: MeterKeyOptions): Work | undefined {
  const { format, request, serial, signature } = options;
  if (format === 'ocmf') {
    const isWhole = options.public !== undefined && serial !== undefined;
    const isMore = [options.private, request, signature].some((given) => given !== undefined);
    return isWhole && !isMore ? ofOcmf : undefined;
  }
  if (format !== 'hourseal' || serial !== undefined) return undefined;
  const given = [options.private, options.public, signature].filter(Boolean).length;
  if (given !== 1 || (options.private === undefined) !== (request !== undefined)) return undefined;
  if (options.private !== undefined) return fromPrivateKey;
  return options.public === undefined ? fromSignature : writeRequest;
}

async function fromPrivateKey(desk: OpenDesk, { meter, options }: Asked): ReturnType<Work> {
  const key = await readKeyFile(options.private ?? '');
  return [await addKey(desk, { meter, key, notBefore: options.notBefore })];
}

/** Prints the thumbprint: whoever vouches for the key compares it with what the maker says. */
async function ofOcmf(desk: OpenDesk, { meter, options, terminal }: Asked): ReturnType<Work> {
  const { after = 0, context, notBefore, serial = '' } = options;
  if (context !== 'T' && context !== 'F') {
    throw new Refused('context', `${context} is neither T (transactions) nor F (fiscal)`);
  }
  const spki = await readSpki(options.public ?? '');
  const ocmf = { after, context, serial } as const;
  const { kid, ...entered } = await addOcmfKey(desk, { meter, notBefore, ocmf, spki });
  terminal.out(`${kid} signs records in OCMF for ${meter}\n`);
  return [entered];
}

/** SubjectPublicKeyInfo, as PEM, DER or, as OCMF's world likes it, hex. */
async function readSpki(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  const hex = /^[0-9a-fA-F\s]+$/.exec(bytes.toString('latin1'))?.[0].replace(/\s/g, '');
  if (hex !== undefined) return Uint8Array.from(Buffer.from(hex, 'hex'));
  if (!bytes.subarray(0, 11).equals(Buffer.from('-----BEGIN '))) return Uint8Array.from(bytes);
  try {
    const key = createPublicKey(bytes);
    return Uint8Array.from(key.export({ format: 'der', type: 'spki' }));
  } catch (cause) {
    throw new Refused('key', `${file} is not a public key`, { cause });
  }
}

const requestShape = object({
  header: text(512),
  plant: id,
  /** The spec as JCS text, so that it is entered as it was signed. */
  spec: text(8192),
});

async function writeRequest(desk: OpenDesk, { meter, options, terminal }: Asked): ReturnType<Work> {
  const { notBefore, request: file = '' } = options;
  const key = publicKeyFromPem(await readFile(options.public ?? '', 'utf8'));
  const { header, input, plant, spec } = await requestKey(desk, { meter, key, notBefore });
  const saved = { header, plant, spec: decodeUtf8(canonicalBytes(spec)) };
  await writeNewFile(file, canonicalBytes(saved));
  await writeNewFile(`${file}.sign`, input);
  terminal.out(
    `Let the meter sign ${file}.sign, for example\n` +
      `  openssl pkeyutl -sign -rawin -inkey meter.pem -in ${file}.sign -out ${file}.sig\n` +
      `then enter it with\n` +
      `  hourseal meter key ${meter} --request ${file} --signature ${file}.sig --data ${options.data}\n`,
  );
  return [];
}

async function fromSignature(desk: OpenDesk, { options }: Asked): ReturnType<Work> {
  const { header, plant, spec } = await readJson(options.request ?? '', requestShape);
  const signature = await readFile(options.signature ?? '');
  const parsed = JSON.parse(spec) as object;
  return [await enterRequestedKey(desk, { header, plant, spec: parsed }, signature)];
}
