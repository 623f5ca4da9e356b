import { signedDraft } from '#core/certificate/entry.ts';
import { emissionRuleShape, emissionRulesLimit } from '#core/certificate/specs/emissions.ts';
import { rulesBody } from '#core/certificate/specs/log.ts';
import { array } from '#core/shape.ts';
import { enterAction, once } from '#ledger/meter-desk.ts';
import type { Terminal } from '#platform/terminal.ts';
import { atDesk, type RegisterOptions } from './entering.ts';
import { readJson } from './register.ts';

/** In force with the rules: a log may be older than they are. */
const emissionKinds = ['emission', 'emission-correction', 'factors'];

const rulesFile = array(emissionRuleShape, { min: 0, max: emissionRulesLimit });

/**
 * `hourseal emissions set`: enters new `rules` in which the emissions of plants are known as the file
 * says, and of no others. Everything else in the rules stays as it is.
 */
export async function setEmissionRules(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const emissions = await readJson(file, rulesFile);
  return atDesk(options, terminal, async (desk) => {
    const { origin } = await desk.ledger.settings();
    const { rules } = await desk.pool.row<{ rules: unknown }>('select rules from log_setting');
    const { emissions: _before, ...kept } = rulesBody.parse(rules);
    const kinds = [...new Set([...kept.kinds, ...emissionKinds])].sort();
    const known = emissions.length > 0 && { emissions };
    const next = { ...kept, ...known, kinds, version: kept.version + 1 };
    const action = { kind: 'rules', origin, spec: { ...next, ...once(desk) } };
    return [await enterAction(desk, signedDraft(action, [await desk.keys.issuer()]))];
  });
}
