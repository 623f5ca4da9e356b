import { Refused } from '#core/errors.ts';
import { integer, optional, path, readConfig, text, type Variables } from '#platform/config.ts';
import type { LineLimits } from './line.ts';
import type { PacketLimits } from './packet-guard.ts';
import type { BrokerTlsFiles } from './tls.ts';

export interface BrokerLimits extends LineLimits, PacketLimits {
  readonly connections: number;
  /** From a connection's beginning to the end of its CONNECT. */
  readonly connectMs: number;
  /** How long a client may leave its receive buffer full before it is dropped. */
  readonly drainMs: number;
  readonly keepaliveS: number;
  /** Packets that a client may send before its CONNECT is answered. */
  readonly queuedPackets: number;
  /** Of what clients did wrong. */
  readonly logLinesPerSecond: number;
}

export const defaultBrokerLimits: BrokerLimits = {
  connections: 10_000,
  connecting: 100,
  connectMs: 10_000,
  connectWaitMs: 15_000,
  drainMs: 30_000,
  keepaliveS: 1_800,
  queuedPackets: 42,
  connectBytes: 4_096,
  // A message of 64 KiB with its topic and packet id; what is longer ends the connection.
  packetBytes: 65_536 + 512,
  packetPieces: 1_000,
  logLinesPerSecond: 20,
};

export const brokerVariables = {
  host: text('BROKER_HOST', { about: 'Address that the broker listens on', default: '127.0.0.1' }),
  port: integer('BROKER_PORT', {
    about: 'TCP port of the broker (MQTT 3.1.1); 0 takes a free one',
    unit: '',
    min: 0,
    max: 65_535,
    default: 1883,
  }),
  audience: text('BROKER_NAME', {
    about: "The broker's name, which devices write into their passwords (aud)",
    default: 'hourseal-broker',
    pattern: /^[!-~]{1,255}$/,
  }),
  tlsPort: optional(
    integer('BROKER_TLS_PORT', {
      about: 'TCP port on which the broker speaks MQTT over TLS 1.2 or later; empty: on none',
      unit: '',
      min: 0,
      max: 65_535,
    }),
  ),
  tlsCertificateFile: optional(
    path('BROKER_TLS_CERTIFICATE_FILE', {
      about: "PEM of the broker's own certificate, with what leads to its root",
    }),
  ),
  tlsKeyFile: optional(
    path('BROKER_TLS_KEY_FILE', { about: 'PEM of the private key of that certificate' }),
  ),
  tlsCaFile: optional(
    path('BROKER_TLS_CA_FILE', {
      about:
        "PEM of authorities that must have signed a meter's certificate; empty: that its key is registered is enough",
    }),
  ),
  connections: integer('BROKER_CONNECTIONS', {
    about: 'Connections at one time',
    unit: '',
    min: 1,
    max: 1_000_000,
    default: defaultBrokerLimits.connections,
  }),
} satisfies Variables;

export interface BrokerConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly audience: string;
  readonly limits: Pick<BrokerLimits, 'connections'>;
  readonly tls: BrokerTlsFiles | undefined;
}

/** Refused('config') with everything that is wrong. */
export function readBrokerConfig(
  environment: Readonly<Record<string, string | undefined>>,
): BrokerConfig {
  const config = readConfig(brokerVariables, environment);
  const { host, port, audience, connections } = config;
  return { listen: { host, port }, audience, limits: { connections }, tls: tlsOf(config) };
}

function tlsOf({
  host,
  tlsPort,
  tlsCertificateFile,
  tlsKeyFile,
  tlsCaFile,
}: ReturnType<typeof readConfig<typeof brokerVariables>>): BrokerTlsFiles | undefined {
  const [port, certificateFile, keyFile] = [tlsPort, tlsCertificateFile, tlsKeyFile];
  if (port === undefined && (certificateFile ?? keyFile ?? tlsCaFile) === undefined) {
    return undefined;
  }
  if (port === undefined || certificateFile === undefined || keyFile === undefined) {
    throw new Refused(
      'config',
      'configuration: BROKER_TLS_PORT, BROKER_TLS_CERTIFICATE_FILE and BROKER_TLS_KEY_FILE go together',
    );
  }
  return { listen: { host, port }, certificateFile, keyFile, caFile: tlsCaFile };
}
