import {
  concat,
  fromBase64,
  fromBase64Url,
  fromHex,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from '#core/bytes.ts';
import { encodeOpening, parseOpening } from '#core/certificate/commitment.ts';
import { encodeAccountRequest, parseAccountRequest } from '#core/certificate/account-request.ts';
import { parseEnrolment } from '#core/certificate/enrolment.ts';
import { encodeSignedAction, parseSignedAction } from '#core/certificate/signed-action.ts';
import { encodeEntry, parseAuth, parseEntry } from '#core/certificate/entry.ts';
import { specOf, type Kind } from '#core/certificate/kinds.ts';
import { parseProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import {
  encodeBatchFile,
  encodeMessageLeaf,
  parseBatchFile,
  parseMessageLeaf,
} from '#core/energy/batch.ts';
import { parseConnect } from '#core/energy/connect.ts';
import {
  encodeFramed,
  parseFramed,
  parseRecordBundle,
  parseRecords,
} from '#core/energy/evidence-file.ts';
import { parseMessage } from '#core/energy/message.ts';
import { encodeOpenLeaves, parseOpenLeaves } from '#core/energy/open-leaves.ts';
import { encodeMeterRecord, parseMeterRecord } from '#core/energy/meter-record.ts';
import { openReceipt } from '#core/energy/receipt.ts';
import { canonicalBytes, parseCanonical } from '#core/jcs.ts';
import { compactJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { decodeFile, encodeFrame } from '#core/record-file.ts';
import { testKey } from '#support/log-builder.ts';
import { evidence } from './fuzz-evidence.ts';
import {
  onPage,
  example,
  lines,
  readVector,
  verdict,
  text,
  asJson,
  signedJson,
  summedJson,
  jws,
  type Target,
} from './fuzz-formats.ts';
import { transparency } from './fuzz-tlog.ts';

const hashes = example('roots-7')
  .split('\n')
  .map((hash) => fromHex(hash));
const messages = ['message-jws', 'message-jws-2'].map((name) => utf8(example(name)));
const leaves = messages.map((bytes) => encodeMessageLeaf({ receivedAt: 1_767_265_205, bytes }));
const entries = [...onPage.keys()]
  .filter((name) => name.startsWith('entry-') && !name.startsWith('entry-broken'))
  .map((name) => utf8(example(name)));
const proofFile = readVector('proof-example.hourseal.json');

const ingestionKey = parsePublicJwk(testKey('ingestion').jwk);
const list = [
  { code: 'future', hash: toHex(hashes[1] ?? utf8('')), kid: ingestionKey.kid, seq: 3 },
];

const energy: readonly Target[] = [
  {
    name: 'message',
    seeds: messages,
    json: signedJson('hourseal-message', 'meter'),
    parse(input) {
      parseMessage(input);
      return jws('hourseal-message')(input);
    },
  },
  {
    name: 'message leaf',
    seeds: [...leaves, utf8(example('ocmf-leaf'))],
    parse: (input) => encodeMessageLeaf(parseMessageLeaf(input)),
  },
  {
    name: 'receipt',
    seeds: [
      utf8(compactJws(testKey('ingestion'), 'hourseal-receipt', utf8(example('receipt-payload')))),
    ],
    json: signedJson('hourseal-receipt', 'ingestion'),
    parse(input) {
      openReceipt(input, ingestionKey);
      return jws('hourseal-receipt')(input);
    },
  },
  {
    name: 'connect password',
    seeds: [utf8(example('connect-jws'))],
    json: signedJson('hourseal-connect', 'meter'),
    parse(input) {
      parseConnect(input);
      return jws('hourseal-connect')(input);
    },
  },
  {
    name: 'enrolment',
    seeds: [utf8(example('enrolment'))],
    json: asJson,
    parse(input) {
      const { auth, origin, spec } = parseEnrolment(input);
      return canonicalBytes({ auth, origin, spec });
    },
  },
  {
    name: 'account request',
    seeds: [utf8(example('account-request'))],
    json: asJson,
    parse: (input) => encodeAccountRequest(parseAccountRequest(input)),
  },
  {
    name: 'signed action',
    seeds: [utf8(example('signed-action'))],
    json: asJson,
    parse: (input) => encodeSignedAction(parseSignedAction(input)),
  },
  {
    name: 'batch file',
    seeds: [
      encodeBatchFile({ leaves, quarantined: list }),
      encodeBatchFile({ leaves: [], quarantined: [] }),
    ],
    parse: (input) => encodeBatchFile(parseBatchFile(input)),
  },
  {
    name: 'meter record',
    seeds: [utf8(example('meter-record')), ...lines('hour-records')],
    json: asJson,
    parse: (input) => encodeMeterRecord(parseMeterRecord(input)),
  },
  {
    name: 'evidence file',
    seeds: [fromHex(example('fork-evidence'))],
    parse: (input) => encodeFramed(parseFramed(input, 2)),
  },
  {
    name: 'open leaves',
    seeds: [fromHex(example('open-leaves'))],
    parse: (input) => encodeOpenLeaves(parseOpenLeaves(input)),
  },
  {
    name: 'records',
    seeds: [encodeFramed(lines('hour-records'))],
    parse: (input) => encodeFramed(parseRecords(input)),
  },
  {
    name: 'record bundle',
    seeds: [encodeFramed([utf8(''), encodeFramed(lines('hour-records')), utf8('')])],
    parse: (input) => encodeFramed(parseRecordBundle(input, 3)),
  },
];

function specTarget(kind: Kind): Target {
  const specs = entries.map(parseEntry).map((entry) => ({ ...entry, own: entry.kind === kind }));
  const own = specs.filter((entry) => entry.own);
  // A kind without an example of its own gets those of the others, which it refuses.
  const seeds = own.length > 0 ? own : specs;
  return {
    name: `spec of ${kind}`,
    seeds: seeds.map(({ spec }) => canonicalBytes(spec)),
    accepted: own.length,
    json: asJson,
    parse: (input) => canonicalBytes(specOf[kind].parse(parseCanonical(input))),
  };
}

const certificate: readonly Target[] = [
  {
    name: 'entry',
    seeds: entries,
    json: asJson,
    parse(input) {
      const { apiVersion: _version, ...entry } = parseEntry(input);
      return encodeEntry(entry);
    },
  },
  {
    name: 'auth of an entry',
    seeds: entries,
    json: asJson,
    parse: (input) => void parseAuth(parseEntry(input), 'log.example/hourseal/2026'),
  },
  ...(Object.keys(specOf) as Kind[]).map(specTarget),
  {
    name: 'opening',
    seeds: [fromHex(example('opening'))],
    parse: (input) => encodeOpening(parseOpening(input)),
  },
  {
    name: 'proof file',
    seeds: [proofFile],
    json: summedJson,
    parse: (input) => canonicalBytes(parseProof(input)),
    slower: 8,
  },
  {
    name: 'verification of a proof file',
    seeds: [proofFile],
    json: summedJson,
    parse: verdict((input) => verifyProof(input)),
    slower: 8,
  },
];

const stored = [encodeFrame(leaves), encodeFrame([utf8('one')]), encodeFrame([])];

const basic: readonly Target[] = [
  {
    name: 'record file',
    seeds: [concat(...stored), concat(...stored).subarray(0, -5)],
    parse(input) {
      const { records, wholeBytes } = decodeFile(input);
      const again = decodeFile(input.subarray(0, wholeBytes));
      if (again.wholeBytes !== wholeBytes || again.records.length !== records.length) {
        throw new Error('what is whole is not read as whole');
      }
      return undefined;
    },
  },
  {
    name: 'JCS',
    seeds: entries.slice(0, 5),
    json: asJson,
    parse: (input) => canonicalBytes(parseCanonical(input)),
  },
  {
    name: 'public JWK',
    seeds: [canonicalBytes(testKey('one').jwk), canonicalBytes(testKey('two', 'ES256').jwk)],
    json: asJson,
    parse: (input) => canonicalBytes(parsePublicJwk(parseCanonical(input)).jwk),
  },
  {
    name: 'base64',
    seeds: ['', 'AA==', 'AAA=', 'AAAA', '+/+/'].map(utf8),
    parse: text((read) => toBase64(fromBase64(read))),
  },
  {
    name: 'base64url',
    seeds: ['', 'AA', 'AAA', 'AAAA', '-_-_'].map(utf8),
    parse: text((read) => toBase64Url(fromBase64Url(read))),
  },
  { name: 'hex', seeds: ['', '00', 'ff07'].map(utf8), parse: text((read) => toHex(fromHex(read))) },
];

export const targets: readonly Target[] = [
  ...transparency,
  ...energy,
  ...certificate,
  ...evidence,
  ...basic,
];
