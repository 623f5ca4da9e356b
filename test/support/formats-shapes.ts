import { accountRequestShape } from '#core/certificate/account-request.ts';
import { accessShape } from '#core/certificate/access.ts';
import { enrolmentShape } from '#core/certificate/enrolment.ts';
import { entryShape } from '#core/certificate/entry.ts';
import { signedActionShape } from '#core/certificate/signed-action.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { hourOpeningShape } from '#core/certificate/specs/hours.ts';
import { stateLeafShape } from '#core/certificate/specs/state.ts';
import { statePieceShape } from '#core/certificate/specs/state.ts';
import { evidenceShape } from '#core/certificate/misbehaviour/misbehaviour.ts';
import { proofShape } from '#core/certificate/proof/proof.ts';
import { quarantinedShape } from '#core/energy/batch.ts';
import { connectShape } from '#core/energy/connect.ts';
import { messageShape } from '#core/energy/message.ts';
import { meterRecordShape } from '#core/energy/meter-record.ts';
import { openEndShape } from '#core/energy/open-leaves.ts';
import { receiptShape } from '#core/energy/receipt.ts';
import { headerShapes } from '#core/jws.ts';
import type { Shape } from '#core/shape.ts';
import { grammarOf, namesGrammar } from './grammar.ts';

/** Every format that FORMATS.md gives a grammar of, by the name on its code block. */
const formatShapes: Readonly<Record<string, Shape<unknown>>> = {
  access: accessShape,
  'account-request': accountRequestShape,
  connect: connectShape,
  enrolment: enrolmentShape,
  entry: entryShape,
  evidence: evidenceShape,
  'hour-opening': hourOpeningShape,
  message: messageShape,
  'meter-record': meterRecordShape,
  'open-leaves': openEndShape,
  proof: proofShape,
  quarantined: quarantinedShape,
  receipt: receiptShape,
  'signed-action': signedActionShape,
  'state-leaf': stateLeafShape,
  'state-piece': statePieceShape,
};

/** What the info strings of the page's grammar blocks stand for: `names`, `header=…`, `format=…`, `spec=…`. */
export function grammarBlocks(): ReadonlyMap<string, string> {
  const named = (group: string, shapes: Readonly<Record<string, Shape<unknown>>>) =>
    Object.entries(shapes).map(
      ([name, shape]) => [`grammar ${group}=${name}`, grammarOf(shape)] as const,
    );
  return new Map([
    ['grammar names', namesGrammar()],
    ...named('format', formatShapes),
    ...named('header', { message: headerShapes['hourseal-message'] }),
    ...named('spec', specOf),
  ]);
}
