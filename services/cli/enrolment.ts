import { randomBytes } from 'node:crypto';
import { toBase64Url } from '#core/bytes.ts';
import { createEnrolment, enrolmentLimitBytes } from '#core/certificate/enrolment.ts';
import { instantText } from '#core/energy/hours.ts';
import { Refused } from '#core/errors.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import {
  listEnrolments,
  listLimitRows,
  refuseEnrolment,
  requestEnrolment,
  type EnrolmentState,
} from '#ledger/enrolment-store.ts';
import { approveEnrolment as enterEnrolled } from '#ledger/meter-desk.ts';
import { readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Style, type Terminal } from '#platform/terminal.ts';
import { atDesk, inDatabase, type RegisterOptions } from './entering.ts';
import { readLimited, writeNewFile } from './read-file.ts';

/** Enrolment (D3.3 `key`): the meter asks, the operator approves or refuses. */

export interface AskOptions {
  readonly private: string;
  readonly origin: string;
  readonly plant: string;
  readonly meter: string;
  /** Unix seconds; now by default. */
  readonly notBefore?: number;
  /** How long the request is good, such as 7d. */
  readonly valid: string;
  readonly out: string;
}

/** `hourseal meter ask`: where the key is; nothing of an installation is needed. */
export async function askEnrolment(options: AskOptions, terminal: Terminal): Promise<number> {
  const { meter, origin, plant, out } = options;
  const signer = await readKeyFile(options.private);
  const nowS = Math.floor(Date.now() / 1000);
  const request = createEnrolment(signer, {
    origin,
    spec: {
      jwk: signer.jwk,
      meter,
      nonce: toBase64Url(randomBytes(16)),
      notAfter: nowS + parseDuration(options.valid),
      notBefore: options.notBefore ?? nowS,
      plant,
    },
  });
  await writeNewFile(out, request);
  terminal.out(
    `${out}: hand it to the operator of ${origin}, who sees the key ${signer.kid}\n` +
      `  hourseal meter enrol ${out} --data FOLDER\n`,
  );
  return exitCodes.verified;
}

/** `hourseal meter enrol`: takes a request in; it waits for `approve` or `refuse`. */
export async function takeEnrolment(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const request = await readLimited(file, enrolmentLimitBytes);
  return inDatabase(options, async ({ pool, clock }) => {
    const { key, spec } = await requestEnrolment(pool, request, { nowS: clock.nowS() });
    terminal.out(
      `${key.kid} waits to be the key of ${spec.meter}. Compare it with what the meter shows, then\n` +
        `  hourseal meter approve ${key.kid} --data ${options.data}\n`,
    );
  });
}

/** `hourseal meter approve`: enters the key, signed by the plant's account and the issuing body. */
export function approveEnrolment(
  kid: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  return atDesk(options, terminal, async (desk) => [await enterEnrolled(desk, kid)]);
}

/** `hourseal meter refuse`. */
export function refuse(
  kid: string,
  options: RegisterOptions & { readonly reason: string },
  terminal: Terminal,
): Promise<number> {
  return inDatabase(options, async ({ pool, clock }) => {
    const { reason } = options;
    if (reason.length > 1_000) throw new Refused('reason', 'above 1,000 characters');
    await refuseEnrolment(pool, { kid, reason, nowS: clock.nowS() });
    terminal.out(`${kid}: refused\n`);
  });
}

/** `hourseal meter enrolments`: one line each, the newest first. */
export function showEnrolments(options: RegisterOptions, terminal: Terminal): Promise<number> {
  return inDatabase(options, async ({ pool, clock }) => {
    const all = await listEnrolments(pool, { nowS: clock.nowS() });
    if (all.length === 0) terminal.out('no meter has asked to be enrolled\n');
    for (const { kid, plant, meter, receivedAt, state, reason } of all) {
      const said = paint(terminal.style)[state](state.padEnd(8));
      const why = reason === undefined ? '' : `: ${reason}`;
      terminal.out(`${said}  ${kid}  ${plant}/${meter}  ${instantText(receivedAt)}${why}\n`);
    }
    if (all.length === listLimitRows) terminal.out(`the newest ${listLimitRows} of them\n`);
  });
}

function paint(style: Style): Readonly<Record<EnrolmentState, (text: string) => string>> {
  return { pending: style.amber, approved: style.green, refused: style.red, expired: style.faint };
}
