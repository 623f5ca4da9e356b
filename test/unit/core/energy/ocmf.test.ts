import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { encodeMessageLeaf, leafLimitBytes, parseMessageLeaf } from '#core/energy/batch.ts';
import { messageLimitBytes } from '#core/energy/message.ts';
import { isPlacedOcmf, placeOcmf, type OcmfPlace } from '#core/energy/ocmf.ts';
import { ocmfLimitBytes, parseOcmfRecord } from '#core/energy/ocmf-record.ts';
import { parseSigned, requireRegistered, type KeyPlace } from '#core/energy/signed.ts';
import { refusalCode } from '#core/errors.ts';
import { verifyJws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';
import { compactJws } from '#core/jws.ts';
import { testKey } from '#support/log-builder.ts';
import { ocmfMeter, publicKeyOfSpki, publishedRecords } from '#support/ocmf.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

function placeUnder({ kid }: PublicKey, record: Uint8Array): OcmfPlace {
  const { context, page, serial } = parseOcmfRecord(record);
  return { kid, plant: 'depot', meter: 'CP-1', ocmf: { after: page - 1, context, serial } };
}

/** From a record as it came to its verdict: kept, parsed, held against its key's entry, verified. */
function verdictOf(record: Uint8Array, key: PublicKey): string {
  return codeOf(() => {
    const place = placeUnder(key, record);
    const parsed = parseSigned(placeOcmf(record, place));
    requireRegistered(parsed, place, 'log.example');
    verifyJws(parsed.jws, key);
  });
}

const published = publishedRecords();

function publishedRecord(name: string): { bytes: Uint8Array; key: PublicKey } {
  const found = published.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no record ${name}`);
  return { bytes: utf8(found.record), key: publicKeyOfSpki(found.publicKey) };
}

describe('published records', () => {
  it.each(published.map((one) => [one.name, one] as const))(
    'have the outcome that is theirs: %s',
    (_name, { record, publicKey, outcome }) => {
      expect(verdictOf(utf8(record), publicKeyOfSpki(publicKey))).toBe(outcome);
    },
  );

  it('say what their readings say', () => {
    const readings = (name: string) => parseOcmfRecord(publishedRecord(name).bytes).readings;
    expect(readings('keba-kcp30')).toEqual([
      { clock: 'unsynced', registers: { importWh: 259 }, t: 1_565_690_595 },
      { clock: 'unsynced', registers: { importWh: 259 }, t: 1_565_690_616 },
    ]);
    expect(readings('dzg-begin')).toEqual([
      { clock: 'unsynced', registers: { importWh: 9038 }, t: 1_635_236_452 },
    ]);
    expect(readings('dzg-end')).toEqual([
      { clock: 'unsynced', registers: { importWh: 9038 }, t: 1_635_236_482 },
    ]);
    // Of the DC meter two registers at begin and end; what repeats is left out.
    expect(readings('lem-dcbm')).toEqual([
      { clock: 'unsynced', registers: { importWh: 57584, exportWh: 4405 }, t: 1_633_518_836 },
      { clock: 'unsynced', registers: { importWh: 58685, exportWh: 4405 }, t: 1_633_518_913 },
    ]);
    expect(readings('dc-98')).toEqual([
      { clock: 'unsynced', registers: { '1-0_98.8.0.FF': 0, exportWh: 1000 }, t: 1_630_578_593 },
      { clock: 'unsynced', registers: { '1-0_98.8.0.FF': 1000, exportWh: 2000 }, t: 1_630_578_607 },
    ]);
    expect(readings('bauer-begin')).toEqual([
      { clock: 'unsynced', registers: { '1-0_1.8.0_198': 0 }, status: 'fault', t: 1_633_613_395 },
    ]);
    expect(readings('nzr-p384')).toEqual([{ registers: { '1-0_1.8.1': 0 }, t: 1_635_251_096 }]);
  });

  it('are told by page and device, the meter before the gateway', () => {
    const source = (name: string) => {
      const { context, page, serial } = parseOcmfRecord(publishedRecord(name).bytes);
      return [context, page, serial];
    };
    expect(source('lem-dcbm')).toEqual(['T', 144, '1211751603']);
    expect(source('dzg-begin')).toEqual(['T', 198, '1DZG0033016824']);
    expect(source('keba-kcp30')).toEqual(['T', 32, '17619300']);
  });

  it('are not accepted with any byte of their payload changed', () => {
    const { bytes, key } = publishedRecord('ebz-ld3');
    const end = bytes.lastIndexOf(0x7c);
    const found = new Map<string, number>();
    for (let i = 0; i < end; i++) {
      const changed = bytes.slice();
      changed[i] = (changed[i] ?? 0) ^ 1;
      const code = verdictOf(changed, key);
      found.set(code, (found.get(code) ?? 0) + 1);
    }
    expect(found.get('accepted')).toBeUndefined();
    expect(found.get('signature')).toBeGreaterThan(100);
    expect(found.get('form')).toBeGreaterThan(100);
  });
});

const alg = 'ECDSA-secp256k1-SHA256';
const meter = ocmfMeter(alg, 4711n);

const reading = { TM: '2026-01-01T11:00:00,000+0100 S', RV: '12.3459', RI: '1-0:1.8.0', RU: 'kWh' };
const base = {
  FV: '1.4',
  GI: 'Charger',
  GS: 'G-1',
  PG: 'F7',
  MS: 'M-1',
  RD: [{ ...reading, EF: '', ST: 'G' }],
};

/** RV is written as a number, with its digits as they are. */
function payloadOf(changes: object): string {
  return JSON.stringify({ ...base, ...changes }).replace(/"RV":"([0-9.eE+-]+)"/g, '"RV":$1');
}

const recordOf = (changes: object = {}): Uint8Array => meter.record(payloadOf(changes));
const withReading = (...changes: object[]): Uint8Array =>
  recordOf({ RD: changes.map((one) => ({ ...reading, ST: 'G', ...one })) });
const readingsOf = (...changes: object[]) => parseOcmfRecord(withReading(...changes)).readings;

describe('a record', () => {
  it('is kept under the four lines that say whose it is, and read from them', () => {
    const record = recordOf();
    const place = placeUnder(meter.key, record);
    const kept = placeOcmf(record, { ...place, ocmf: { ...place.ocmf, after: 4 } });
    expect(decodeUtf8(kept)).toBe(`${meter.key.kid}\ndepot\nCP-1\n3\n${decodeUtf8(record)}`);
    expect(isPlacedOcmf(kept)).toBe(true);
    const parsed = parseSigned(kept);
    expect(parsed.message).toEqual({
      log: '',
      meter: 'CP-1',
      plant: 'depot',
      readings: [{ registers: { importWh: 12345 }, t: 1_767_261_600 }],
      seq: 3,
    });
    expect(parsed.jws.header).toEqual({ alg, kid: meter.key.kid, typ: 'hourseal-message' });
    expect(decodeUtf8(parsed.jws.signingInput)).toBe(payloadOf({}));
    expect(parsed.hash).toEqual(sha256(utf8(payloadOf({}))));
    expect(parsed.ocmf).toEqual({ context: 'F', page: 7, serial: 'M-1' });
  });

  it('is one message however its signature is written', () => {
    const payload = payloadOf({});
    const place = placeUnder(meter.key, recordOf());
    const der = meter.sign(utf8(payload));
    const spellings = [
      { SA: alg, SD: toHex(der) },
      { SA: alg, SD: toHex(der).toUpperCase() },
      { SA: alg, SE: 'base64', SD: Buffer.from(der).toString('base64') },
      { SM: 'application/x-der', SA: alg, SE: 'hex', XX: 'vendor', SD: toHex(der) },
    ];
    const parsed = spellings.map((section) => {
      const record = utf8(`OCMF|${payload}|${JSON.stringify(section)}`);
      expect(verdictOf(record, meter.key)).toBe('accepted');
      return parseSigned(placeOcmf(record, place));
    });
    expect(new Set(parsed.map(({ hash }) => toHex(hash))).size).toBe(1);
    expect(new Set(parsed.map(({ jws }) => toHex(jws.signature))).size).toBe(1);
  });

  it('needs the algorithm of its key: SA does not choose, nor does its absence', () => {
    const other = ocmfMeter('ECDSA-secp256r1-SHA256', 4711n);
    expect(verdictOf(recordOf(), other.key)).toBe('alg');
    const silent = utf8(decodeUtf8(recordOf()).replace(`"SA":"${alg}",`, ''));
    expect(verdictOf(silent, meter.key)).toBe('alg');
    expect(verdictOf(recordOf(), ocmfMeter(alg, 4712n).key)).toBe('signature');
  });

  const text = decodeUtf8(recordOf());
  const section = text.slice(text.lastIndexOf('|') + 1);
  it.each<readonly [string, string, string]>([
    ['another head', text.replace('OCMF', 'OCMG'), 'form'],
    ['white space before it', ` ${text}`, 'form'],
    ['a line break after it', `${text}\n`, 'form'],
    ['white space around the payload', text.replace('OCMF|', 'OCMF| '), 'form'],
    ['two sections', `OCMF|${payloadOf({})}`, 'form'],
    ['four sections', `${text}|{}`, 'form'],
    ['a pipe in a text', text.replace('Charger', 'Char|ger'), 'form'],
    ['a section that is a list', `OCMF|[]|${section}`, 'form'],
    ['a member twice', text.replace('"GS"', '"GI"'), 'form'],
    ['a member twice by an escape', text.replace('"GS"', '"\\u0047I"'), 'form'],
    ['a comma too many', text.replace('"GS":"G-1",', '"GS":"G-1",,'), 'form'],
    ['version 2', text.replace('1.4', '2.0'), 'form'],
    ['version 0', text.replace('1.4', '0.4'), 'form'],
    ['a version as a number', text.replace('"1.4"', '1.4'), 'form'],
    ['no page', text.replace('F7', ''), 'form'],
    ['a page with a zero before it', text.replace('F7', 'F07'), 'form'],
    ['a page of another context', text.replace('F7', 'X7'), 'form'],
    ['a page beyond counting', text.replace('F7', `F${'9'.repeat(16)}`), 'form'],
    ['no serial number', text.replace('"M-1"', '""').replace('"G-1"', '""'), 'form'],
    ['a serial number with a space', text.replace('M-1', 'M 1'), 'form'],
    ['a serial that is a number', text.replace('"M-1"', '1'), 'form'],
    ['a serial that is nothing', text.replace('"M-1"', 'null'), 'form'],
    ['an algorithm that is not listed', text.replace('secp256k1', 'secp521r1'), 'alg'],
    ['an algorithm by a name of objects', text.replace(`"${alg}"`, '"constructor"'), 'alg'],
    ['a signature that is missing', text.replace('"SD"', '"XD"'), 'form'],
    ['a signature of odd length', text.replace(/.("})$/, '$1'), 'form'],
    ['an encoding that is not listed', text.replace('"SD"', '"SE":"base58","SD"'), 'form'],
    ['hex that is called base64', text.replace('"SD"', '"SE":"base64","SD"'), 'form'],
    ['another type of signature', text.replace('"SD"', '"SM":"text/plain","SD"'), 'form'],
  ])('is refused with %s', (_what, changed, code) => {
    expect(codeOf(() => parseOcmfRecord(utf8(changed)))).toBe(code);
  });

  it('is refused with bytes that are not UTF-8, signed as they may be', () => {
    const changed = recordOf();
    changed[text.indexOf('Charger')] = 0xff;
    expect(codeOf(() => parseOcmfRecord(changed))).toBe('form');
  });

  it('is refused above its size, and fits into a leaf below', () => {
    const padded = (length: number): Uint8Array => {
      const rest = length - utf8(text.replace('Charger', '')).length;
      return utf8(text.replace('Charger', 'x'.repeat(rest)));
    };
    const longest = padded(ocmfLimitBytes);
    expect(longest.length).toBe(ocmfLimitBytes);
    expect(codeOf(() => parseOcmfRecord(padded(ocmfLimitBytes + 1)))).toBe('size');
    expect(codeOf(() => parseOcmfRecord(padded(ocmfLimitBytes + 200)))).toBe('size');
    const long = 'p'.repeat(64);
    const binding = { after: 0, context: 'F', serial: 'M-1' } as const;
    const kept = placeOcmf(longest, {
      kid: meter.key.kid,
      plant: long,
      meter: long,
      ocmf: binding,
    });
    expect(kept.length).toBeLessThanOrEqual(messageLimitBytes);
    const leaf = encodeMessageLeaf({ receivedAt: 253_402_300_799, bytes: kept });
    expect(leaf.length).toBeLessThanOrEqual(leafLimitBytes);
    expect(codeOf(() => parseMessageLeaf(leaf))).toBe('accepted');
  });
});

describe('the readings of a record', () => {
  it('are floored to whole watt-hours, digit by digit', () => {
    expect(readingsOf({ RV: '0.9999' })[0]?.registers).toEqual({ importWh: 999 });
    expect(readingsOf({ RV: '62500.2031' })[0]?.registers).toEqual({ importWh: 62_500_203 });
    expect(readingsOf({ RV: '2851485', RU: 'Wh' })[0]?.registers).toEqual({ importWh: 2_851_485 });
  });

  it('inherit what they leave out, but never a value', () => {
    const record = recordOf({
      RD: [
        { ...reading, EF: '', ST: 'G' },
        { TM: '2026-01-01T11:15:00,000+0100 S', RV: '13' },
        { RV: '4', RI: '1-0:2.8.0', RU: 'kWh' },
        { TM: '2026-01-01T11:30:00,000+0100 S', ST: 'E' },
      ],
    });
    expect(parseOcmfRecord(record).readings).toEqual([
      { registers: { importWh: 12345 }, t: 1_767_261_600 },
      { registers: { importWh: 13000, exportWh: 4000 }, t: 1_767_262_500 },
    ]);
  });

  it('stand in the order of time, those of one second as one, with the worst state of them', () => {
    const later = '2026-01-01T11:15:00,000+0100';
    expect(
      readingsOf(
        { TM: `${later} S`, RV: '14' },
        { TM: '2026-01-01T10:00:00,000+0000 S', RV: '13' },
        { TM: `${later} U`, RI: '1-0:2.8.0', RV: '1' },
        { TM: `${later} S`, RI: '1-0:3.8.0', RU: 'kvarh', RV: '1', ST: 'F' },
      ),
    ).toEqual([
      { registers: { importWh: 13000 }, t: 1_767_261_600 },
      {
        clock: 'unsynced',
        registers: { importWh: 14000, exportWh: 1000 },
        status: 'fault',
        t: 1_767_262_500,
      },
    ]);
  });

  it.each<readonly [string, object, object]>([
    ['a good meter', {}, {}],
    ['a manipulated meter', { ST: 'M' }, { status: 'tamper' }],
    ...'N T D R X I O S E F ?'
      .split(' ')
      .map((ST) => [`a meter in state ${ST}`, { ST }, { status: 'fault' }] as const),
    ['energy of no use', { EF: 'E' }, { status: 'fault' }],
    ['a flag that nobody knows', { EF: 'q' }, { status: 'fault' }],
    ['time of no use', { EF: 't' }, { clock: 'unsynced' }],
    ['both of no use', { EF: 'Et' }, { clock: 'unsynced', status: 'fault' }],
    ['an exception', { TX: 'X' }, { status: 'fault' }],
    ['a power failure', { TX: 'P' }, { status: 'power-fail' }],
    ['the end of a transaction', { TX: 'E' }, {}],
    ['an informative clock', { TM: '2026-01-01T11:00:00,000+0100 I' }, { clock: 'unsynced' }],
    ['a relative clock', { TM: '2026-01-01T11:00:00,000+0100 R' }, { clock: 'unsynced' }],
    ['no clock', { TM: '2026-01-01T11:00:00,000+0100 U' }, { clock: 'unsynced' }],
  ])('bear the state of %s', (_what, change, state) => {
    expect(readingsOf(change)).toEqual([
      { registers: { importWh: 12345 }, t: 1_767_261_600, ...state },
    ]);
  });

  it('count for nothing from an exception on', () => {
    const at = (minute: number) => ({ TM: `2026-01-01T11:${minute}:00,000+0100 S` });
    const [one, two, three] = readingsOf(
      { ...at(10), TX: 'B', RV: '1' },
      { ...at(20), TX: 'X', RV: '2' },
      { ...at(30), TX: 'E', RV: '3' },
    );
    expect([one?.status, two?.status, three?.status]).toEqual([undefined, 'fault', 'fault']);
  });

  it.each<readonly [string, object]>([
    ['two values of one register in one second', { RV: '12.346' }],
    ['a register without its unit', { RU: undefined }],
    ['a unit without its register', { RI: undefined }],
    ['a value that is a truth', { RV: true }],
    ['no value at all', { RV: null }],
    ['a value with an exponent', { RV: '1e3' }],
    ['a value below zero', { RV: '-1' }],
    ['a value beyond 2^53-1', { RV: '9007199254740.992' }],
    ['a state that is missing', { ST: null }],
    ['a time that is missing', { TM: null }],
    ['a register without a name', { RI: '' }],
    ['a register with a name too long', { RI: '1'.repeat(65) }],
    ['a reading that is none', []],
  ])('are refused with %s', (_what, change) => {
    const other = { ...reading, ST: 'G', ...(Array.isArray(change) ? {} : change) };
    const record = recordOf({ RD: [{ ...reading, ST: 'G' }, Array.isArray(change) ? [] : other] });
    expect(codeOf(() => parseOcmfRecord(record))).toBe('form');
  });

  it('are refused where there are none of energy, or too many', () => {
    expect(codeOf(() => readingsOf())).toBe('form');
    expect(codeOf(() => readingsOf({ RU: 'mOhm' }))).toBe('form');
    const many = Array.from({ length: 17 }, (_, i) => ({ RI: `1-0:${i}.8.1` }));
    expect(codeOf(() => readingsOf(...many))).toBe('form');
    expect(codeOf(() => readingsOf(...many.slice(1)))).toBe('accepted');
    const thousand = Array.from({ length: 1000 }, () => ({}));
    const compact = (list: object[]) =>
      recordOf({ RD: [{ ...reading, ST: 'G' }, ...list.map(() => ({}))] });
    expect(codeOf(() => parseOcmfRecord(compact(thousand.slice(1))))).toBe('accepted');
    expect(codeOf(() => parseOcmfRecord(compact(thousand)))).toBe('form');
  });

  it('lie within one closed hour, or the record is not kept as one message', () => {
    const at = (time: string) => ({ TM: `2026-01-01T${time}+0000 S` });
    const placed = (...times: string[]) =>
      codeOf(() => {
        const record = withReading(...times.map((time, i) => ({ ...at(time), RV: `${i}` })));
        return parseSigned(placeOcmf(record, placeUnder(meter.key, record)));
      });
    expect(placed('10:00:00,000', '11:00:00,000')).toBe('accepted');
    expect(placed('10:00:00,000', '11:00:00,001')).toBe('form');
    expect(placed('10:59:59,999', '11:00:00,000')).toBe('accepted');
    expect(placed('10:59:59,999', '11:00:01,000')).toBe('form');
  });
});

describe('a key that speaks OCMF', () => {
  const record = recordOf();
  const place = placeUnder(meter.key, record);
  const parsed = parseSigned(placeOcmf(record, place));
  const judged = (key: KeyPlace) => codeOf(() => requireRegistered(parsed, key, 'log.example'));

  it('takes its own meter, device, context and number alone', () => {
    expect(judged(place)).toBe('accepted');
    expect(judged({ ...place, plant: 'other' })).toBe('meter');
    expect(judged({ ...place, meter: 'CP-2' })).toBe('meter');
    expect(judged({ ...place, ocmf: { ...place.ocmf, serial: 'M-2' } })).toBe('meter');
    expect(judged({ ...place, ocmf: { ...place.ocmf, context: 'T' } })).toBe('meter');
    expect(judged({ ...place, ocmf: { ...place.ocmf, after: 5 } })).toBe('meter');
    expect(judged({ plant: 'depot', meter: 'CP-1' })).toBe('format');
  });

  it('takes no record of the other context, nor of a page that does not count', () => {
    const under = (ocmf: object) =>
      codeOf(() => placeOcmf(record, { ...place, ocmf: { ...place.ocmf, ...ocmf } }));
    expect(under({ after: 6 })).toBe('accepted');
    expect(under({ after: 7 })).toBe('page');
    expect(under({ context: 'T' })).toBe('page');
  });

  it('takes none of our own messages, and ours none of its records', () => {
    const content = {
      log: 'log.example',
      meter: 'CP-1',
      plant: 'depot',
      readings: [{ registers: { importWh: 1 }, t: 1_767_261_600 }],
      seq: 1,
      v: 1,
    };
    const jws = compactJws(
      testKey('solar meter'),
      'hourseal-message',
      utf8(JSON.stringify(content)),
    );
    const ours = parseSigned(utf8(jws));
    const own = { plant: 'depot', meter: 'CP-1' };
    expect(codeOf(() => requireRegistered(ours, own, 'log.example'))).toBe('accepted');
    expect(codeOf(() => requireRegistered(ours, own, 'other.example'))).toBe('log');
    expect(codeOf(() => requireRegistered(ours, own, undefined))).toBe('log');
    expect(codeOf(() => requireRegistered(ours, place, 'log.example'))).toBe('format');
  });
});

describe('a leaf', () => {
  const kept = placeOcmf(recordOf(), placeUnder(meter.key, recordOf()));
  const text = decodeUtf8(kept);

  it('begins with the prefix of its format, and with no other', () => {
    const leaf = encodeMessageLeaf({ receivedAt: 1_767_261_605, bytes: kept });
    expect(decodeUtf8(leaf)).toBe(`hourseal/ocmf/v1\n1767261605\n${text}`);
    const back = parseMessageLeaf(leaf);
    expect([back.receivedAt, back.bytes]).toEqual([1_767_261_605, kept]);
    expect(back.parsed).toEqual(parseSigned(kept));
    const wrong = utf8(`hourseal/message/v1\n1767261605\n${text}`);
    expect(codeOf(() => parseMessageLeaf(wrong))).toBe('leaf');
    const raw = utf8(`hourseal/ocmf/v1\n1767261605\n${decodeUtf8(recordOf())}`);
    expect(codeOf(() => parseMessageLeaf(raw))).toBe('leaf');
  });

  const [kid = '', plant = '', name = '', seq = '', ...rest] = text.split('\n');
  const record = rest.join('\n');
  it.each<readonly [string, readonly string[], string]>([
    ['one more line', [kid, plant, name, seq, seq, record], 'form'],
    ['one line less', [kid, plant, name, record], 'form'],
    ['a shorter kid', [kid.slice(1), plant, name, seq, record], 'leaf'],
    ['a kid that is none', [`${kid.slice(1)}B`, plant, name, seq, record], 'form'],
    ['a plant that is no id', [kid, '-', name, seq, record], 'form'],
    ['a meter that is no id', [kid, plant, '', seq, record], 'form'],
    ['seq 0', [kid, plant, name, '0', record], 'form'],
    ['seq 01', [kid, plant, name, '01', record], 'form'],
    ['seq 1.5', [kid, plant, name, '1.5', record], 'form'],
    ['seq 1e21', [kid, plant, name, '1e+21', record], 'form'],
    ['no record', [kid, plant, name, seq, ''], 'form'],
    ['a JWS in the place of the record', [kid, plant, name, seq, 'a.b.c'], 'form'],
  ])('is refused with %s', (_what, lines, code) => {
    const leaf = utf8(`hourseal/ocmf/v1\n1767261605\n${lines.join('\n')}`);
    expect(codeOf(() => parseMessageLeaf(leaf))).toBe(code);
  });
});
