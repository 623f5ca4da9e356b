import { readFile } from 'node:fs/promises';
import { createSecureContext, createServer, TLSSocket, type Server } from 'node:tls';
import { Refused } from '#core/errors.ts';
import type { OwnKey } from '#core/keys.ts';
import { publicKeyOf } from '#core/signer.node.ts';
import type { ListenAddress } from '#platform/listen.ts';

/** The broker's second listener, on which a meter may show a certificate in place of a password. */
export interface BrokerTls {
  readonly listen: ListenAddress;
  /** PEM: the broker's own certificate with what leads to its root, and its private key. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of those who must have signed a meter's certificate; absent: its key alone says whose it is. */
  readonly ca?: string | undefined;
}

export interface BrokerTlsFiles {
  readonly listen: ListenAddress;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly caFile: string | undefined;
}

/** Refused('config') with the file that cannot be read or used: before anything listens. */
export async function readBrokerTls({
  listen,
  certificateFile,
  keyFile,
  caFile,
}: BrokerTlsFiles): Promise<BrokerTls> {
  const certificate = await readPem('BROKER_TLS_CERTIFICATE_FILE', certificateFile);
  const key = await readPem('BROKER_TLS_KEY_FILE', keyFile);
  const ca = caFile === undefined ? undefined : await readPem('BROKER_TLS_CA_FILE', caFile);
  try {
    createSecureContext({ cert: certificate, key, ca });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Refused('config', `configuration: BROKER_TLS_…: ${why}`, { cause });
  }
  return { listen, certificate, key, ca };
}

async function readPem(name: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Refused('config', `configuration: ${name} ${file} cannot be read`, { cause });
  }
}

/**
 * A server that asks for a certificate and takes any: who shows it has proved in the handshake to hold
 * its private key, and whether that key may connect, the register says (RFC 8705, section 2.2, does the
 * same for OAuth clients). So no authority is needed beside the log, and ending a key in the log is all
 * the revocation there is.
 */
export function createTlsServer({ certificate, key, ca }: BrokerTls, handshakeMs: number): Server {
  return createServer({
    cert: certificate,
    key,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    handshakeTimeout: handshakeMs,
    noDelay: true,
  });
}

/** What a client showed, and proved to have the private key of. */
export interface ShownCertificate {
  readonly key: OwnKey;
  /** Unix seconds. */
  readonly validFromS: number;
  readonly validToS: number;
}

/**
 * Undefined where the connection is not TLS, or nothing was shown. Refused('certificate') where the
 * authorities that are asked for did not sign it; 'key' where its key is none that a meter may have.
 */
export function certificateOf(
  connection: unknown,
  ca: string | undefined,
): ShownCertificate | undefined {
  if (!(connection instanceof TLSSocket)) return undefined;
  const shown = connection.getPeerX509Certificate();
  if (shown === undefined) return undefined;
  if (ca !== undefined && !connection.authorized) {
    const why = String(connection.authorizationError);
    throw new Refused('certificate', `not signed by the authorities of this broker (${why})`);
  }
  return {
    key: publicKeyOf(shown.publicKey),
    validFromS: Date.parse(shown.validFrom) / 1000,
    validToS: Date.parse(shown.validTo) / 1000,
  };
}
