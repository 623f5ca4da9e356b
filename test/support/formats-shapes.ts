import { entryShape } from '#core/certificate/entry.ts';
import { hourOpeningShape, specOf } from '#core/certificate/kinds.ts';
import { proofShape } from '#core/certificate/proof.ts';
import { quarantinedShape } from '#core/energy/batch.ts';
import { connectShape } from '#core/energy/connect.ts';
import { messageShape } from '#core/energy/message.ts';
import { meterRecordShape } from '#core/energy/meter-record.ts';
import { receiptShape } from '#core/energy/receipt.ts';
import { headerShapes } from '#core/jws.ts';
import type { Shape } from '#core/shape.ts';
import { grammarOf, namesGrammar } from './grammar.ts';

/** Every format that FORMATS.md gives a grammar of, by the name on its code block. */
const formatShapes: Readonly<Record<string, Shape<unknown>>> = {
  connect: connectShape,
  entry: entryShape,
  'hour-opening': hourOpeningShape,
  message: messageShape,
  'meter-record': meterRecordShape,
  proof: proofShape,
  quarantined: quarantinedShape,
  receipt: receiptShape,
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
