import { randomBytes } from 'node:crypto';
import { toBase64Url } from '#core/bytes.ts';
import { signAction, signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import type { exchangeBody, meterBody, meterChangeBody } from '#core/certificate/specs/register.ts';
import type { meterEndBody } from '#core/certificate/specs/register.ts';
import { Refused } from '#core/errors.ts';
import type { Infer } from '#core/shape.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import { readPending } from './enrolment-store.ts';
import { readMeterOfKey } from './register-store.ts';
import type { Ledger } from './service.ts';

/**
 * What an operator does with the meters of a log (D3.3), whatever it is asked through: a command today,
 * an HTTP interface tomorrow. Each function signs one action for those who must, and enters it.
 */
export interface MeterDesk {
  readonly ledger: Pick<Ledger, 'settings' | 'submit'>;
  readonly pool: Pool;
  readonly clock: Clock;
  /** The keys that this operator holds. Refused('key-missing') where it does not have one. */
  readonly keys: {
    readonly issuer: () => Promise<Signer>;
    readonly account: (account: string) => Promise<Signer>;
  };
}

/** An entry that is in the log. It is not under a published checkpoint yet. */
export interface Entered {
  readonly index: number;
  readonly kind: string;
}

/** How long a signature that is made here may wait to be entered, seconds. */
const signatureLifeS = 86_400;

/** Everything of a spec that a signature adds: a nonce of its own and a short life. */
export function once({ clock }: Pick<MeterDesk, 'clock'>): { nonce: string; notAfter: number } {
  return { nonce: toBase64Url(randomBytes(16)), notAfter: clock.nowS() + signatureLifeS };
}

/** Enters one action. Refused with the code of the rule that it breaks. */
export async function enterAction(desk: MeterDesk, draft: SignedDraft): Promise<Entered> {
  const [entered] = await enterActions(desk, [draft]);
  if (entered === undefined) throw new RangeError('enterAction: one in, none out');
  return entered;
}

/** Enters actions that may rest on one another. Those before one that is refused are in the log. */
export async function enterActions(
  { ledger }: Pick<MeterDesk, 'ledger'>,
  drafts: readonly SignedDraft[],
): Promise<Entered[]> {
  return (await ledger.submit(drafts)).map((outcome) => {
    if (outcome.result === 'sequenced') return { index: outcome.ref.index, kind: outcome.kind };
    throw new Refused(outcome.code, `not entered: ${outcome.message}`);
  });
}

/** Whose log it is, and who must sign for a plant. Refused('plant') where there is no such plant. */
export async function signersFor(
  { ledger, keys }: MeterDesk,
  plant: string,
): Promise<{ readonly origin: string; readonly signers: readonly [Signer, Signer] }> {
  const { origin, plants } = await ledger.settings();
  const account = plants.get(plant);
  if (account === undefined) throw new Refused('plant', `no plant ${plant} is in the log`);
  return { origin, signers: [await keys.issuer(), await keys.account(account)] };
}

/** Refused('meter') where there is no such meter. */
export async function plantOfMeter(
  { ledger }: Pick<MeterDesk, 'ledger'>,
  meter: string,
): Promise<string> {
  const plant = (await ledger.settings()).meters.get(meter);
  if (plant === undefined) throw new Refused('meter', `no meter ${meter} is in the log`);
  return plant;
}

/** A meter at a plant that is in the log. */
export async function addMeter(desk: MeterDesk, meter: Infer<typeof meterBody>): Promise<Entered> {
  const { origin, signers } = await signersFor(desk, meter.plant);
  const spec = { ...meter, ...once(desk) };
  return enterAction(desk, signedDraft({ kind: 'meter', origin, spec }, signers));
}

/** The key that a meter asked for. Refused('enrolment') where nothing is pending under `kid`. */
export async function approveEnrolment(desk: MeterDesk, kid: string): Promise<Entered> {
  const nowS = desk.clock.nowS();
  const { spec, origin, auth } = await readPending(desk.pool, kid, { nowS });
  const { signers } = await signersFor(desk, spec.plant);
  const others = signers.map((signer) => signAction(signer, { kind: 'key', origin, spec }));
  return enterAction(desk, { kind: 'key', spec, auth: [auth, ...others] });
}

/** The device behind a meter was exchanged. */
export function exchangeMeter(
  desk: MeterDesk,
  exchange: Infer<typeof exchangeBody>,
): Promise<Entered> {
  return enterOfMeter(desk, { kind: 'exchange', meter: exchange.meter, spec: exchange });
}

/** What is said of a meter beside its figures. */
export function changeMeter(
  desk: MeterDesk,
  change: Infer<typeof meterChangeBody>,
): Promise<Entered> {
  return enterOfMeter(desk, { kind: 'meter-change', meter: change.meter, spec: change });
}

/** A meter's end, for ever: refused as FORMATS.md says, above all before an hour that is sealed. */
export function endMeter(desk: MeterDesk, end: Infer<typeof meterEndBody>): Promise<Entered> {
  return enterOfMeter(desk, { kind: 'meter-change', meter: end.meter, spec: end });
}

/**
 * The end of a key: what it signed up to `lastSeq` and `lastT` stays good, whenever it arrives; nothing
 * beyond. After a rotation, the old key's; after a theft, the last that is believed.
 */
export async function endKey(
  desk: MeterDesk,
  spec: { readonly kid: string; readonly lastSeq: number; readonly lastT: number },
): Promise<Entered> {
  const meter = await readMeterOfKey(desk.pool, spec.kid);
  if (meter === undefined) throw new Refused('key', `no meter key ${spec.kid} is in the log`);
  return enterOfMeter(desk, { kind: 'key-end', meter, spec });
}

async function enterOfMeter(
  desk: MeterDesk,
  { kind, meter, spec }: { kind: string; meter: string; spec: object },
): Promise<Entered> {
  const { origin, signers } = await signersFor(desk, await plantOfMeter(desk, meter));
  const action = { kind, origin, spec: { ...spec, ...once(desk) } };
  return enterAction(desk, signedDraft(action, signers));
}
