import { createServer, type Server } from 'node:http';
import { equalBytes } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { cosignatureType, formatVkey, verifierKeyOf } from '#core/tlog/note.ts';
import type { Clock } from '#platform/clock.ts';
import { listenOn, requestLimits, urlOf, type ListenAddress } from '#platform/listen.ts';
import type { Logger } from '#platform/logger.ts';
import type { Service } from '#platform/shutdown.ts';
import type { AuditorOf } from './auditor.ts';
import { defaultWitnessLimits, type WitnessLimits } from './config.ts';
import { createHandler } from './http.ts';
import { watchedLogs, type LogKey } from './logs.ts';
import { openWitness, type OpenWitness } from './open.ts';

export interface WitnessContext {
  /** Of an auditing witness, and of no other, it ends in `/audit` (D3.4). */
  readonly name: string;
  /** Ed25519; a key of its own, of no log and of no other witness. */
  readonly signer: Signer;
  /** Made if it is not there; one process at a time holds it. */
  readonly folder: string;
  readonly logs: readonly LogKey[];
  readonly clock: Clock;
  readonly listen: ListenAddress;
  readonly logger: Logger;
  readonly limits?: Partial<WitnessLimits>;
  /** Makes this an auditing witness. */
  readonly auditorOf?: AuditorOf;
}

export interface Witness extends Required<Service> {
  readonly vkey: string;
  /** The submission prefix, once started; the monitoring prefix is `monitor` below it. */
  readonly url: () => string;
}

/**
 * A witness (c2sp.org/tlog-witness): what another organisation runs, with its own key and store, so
 * that no log can show different people different histories. Refused for a configuration that must
 * not be: 'witness-name', 'witness-key', 'witness-logs', 'vkey'.
 */
export function createWitness(context: WitnessContext): Witness {
  const { logger, listen } = context;
  const limits = { ...defaultWitnessLimits, ...context.limits };
  const logs = watchedLogs(context.logs);
  const vkey = ownVkey(context);
  let died: (error: Error) => void = () => undefined;
  const death = new Promise<Error>((resolve) => {
    died = resolve;
  });
  let running: { readonly open: OpenWitness; readonly server: Server } | undefined;
  return {
    vkey,
    died: death,
    url: () => urlOf(running?.server),
    async start() {
      const open = await openWitness({ ...context, limits, logs, vkey, died });
      try {
        const handler = createHandler({ ...open, vkey, limits, logger });
        const { requestMs } = limits;
        const server = createServer(requestLimits({ headersMs: requestMs, requestMs }), handler);
        server.maxConnections = limits.connections;
        await listenOn(server, listen);
        server.on('error', died);
        running = { open, server };
      } catch (cause) {
        await open.close();
        throw cause;
      }
      logger.info({ url: urlOf(running.server), vkey }, 'witness ready');
    },
    async stop() {
      if (running === undefined) return;
      const { open, server } = running;
      const closed = closeServer(server, limits.stopMs);
      await open.settle();
      await closed;
      await open.close();
    },
  };
}

function ownVkey({ name, signer, logs, auditorOf }: WitnessContext): string {
  const own = verifierKeyOf(name, cosignatureType, signer);
  if (name.endsWith('/audit') !== (auditorOf !== undefined)) {
    throw new Refused('witness-name', `${name}: auditing witnesses alone have names in /audit`);
  }
  if (logs.some(({ key }) => equalBytes(key.publicKey, own.publicKey))) {
    throw new Refused('witness-key', `${name}: the key of a log`);
  }
  return formatVkey(own);
}

/** Answers what has been asked, for so long. */
async function closeServer(server: Server, stopMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive becomes idle only after its last answer.
  const idle = setInterval(() => server.closeIdleConnections(), Math.min(20, stopMs));
  const limit = setTimeout(() => server.closeAllConnections(), stopMs);
  await closed;
  clearInterval(idle);
  clearTimeout(limit);
}
