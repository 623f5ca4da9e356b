import { sha256 } from '#crypto';
import { fromHex, toHex, utf8 } from '#core/bytes.ts';
import { verifyAccess } from '#core/certificate/access.ts';
import {
  openBatchFile,
  openForkFile,
  openOpening,
} from '#core/certificate/audit/audit-evidence.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { parseEvidence } from '#core/certificate/misbehaviour/misbehaviour.ts';
import { verifyMisbehaviour } from '#core/certificate/misbehaviour/verify-misbehaviour.ts';
import { encodeBatchFile, encodeMessageLeaf } from '#core/energy/batch.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { testKey } from '#support/log-builder.ts';
import {
  example,
  readVector,
  verdict,
  opened,
  signedJson,
  summedJson,
  jws,
  type Target,
} from './fuzz-formats.ts';

const dishonoured = readVector('dishonoured-receipt.hourseal-evidence.json');
const equivocation = utf8(example('evidence-equivocation'));
const policy = parsePolicy(`${example('policy')}\n`);
const messages = ['message-jws', 'message-jws-2'].map((name) => utf8(example(name)));
const leaves = messages.map((bytes) => encodeMessageLeaf({ receivedAt: 1_767_265_205, bytes }));

const fork = fromHex(example('fork-evidence'));
const batch = encodeBatchFile({ leaves: leaves.slice(0, 1), quarantined: [] });
const batchRoot = toHex(leafHash(leaves[0] ?? utf8('')));
const committed = fromHex(example('opening'));
const { commitment } = parseEntry(utf8(example('entry-hour-committed'))).spec as {
  commitment: string;
};
const auditor = parsePublicJwk(testKey('witness two audit').jwk);

/** Evidence of what others did: it is judged, and the judge never falls over it. */
export const evidence: readonly Target[] = [
  {
    name: 'evidence of misbehaviour',
    seeds: [equivocation, dishonoured],
    json: summedJson,
    parse: (input) => canonicalBytes(parseEvidence(input)),
    slower: 2,
  },
  {
    name: 'verification of evidence, by a policy and without one',
    seeds: [equivocation, dishonoured],
    json: summedJson,
    parse: verdict((input) => [verifyMisbehaviour(input, { policy }), verifyMisbehaviour(input)]),
    slower: 4,
  },
  {
    name: 'fork file that an entry names',
    seeds: [fork],
    parse: opened((input) => openForkFile(input, toHex(sha256(input)))),
  },
  {
    name: 'fork file in the place of another',
    seeds: [fork],
    parse: opened((input) => openForkFile(input, toHex(sha256(fork)))),
  },
  {
    name: 'batch file in the place of another',
    seeds: [batch],
    parse: opened((input) => openBatchFile(input, batchRoot)),
  },
  {
    name: 'opening in the place of another',
    seeds: [committed],
    parse: opened((input) => openOpening(input, commitment)),
  },
  {
    name: 'access token',
    seeds: [utf8(example('access-jws'))],
    json: signedJson('hourseal-access', 'witness two audit'),
    parse(input) {
      const expected = { origin: 'log.example/hourseal/2026', nowS: 1_767_261_600 };
      verifyAccess(input, [auditor], expected);
      return jws('hourseal-access')(input);
    },
  },
];
