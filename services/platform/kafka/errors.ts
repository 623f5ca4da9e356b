import { Failed } from '#core/errors.ts';

const codes: Readonly<Record<string, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'kafka-topic',
  INVALID_TOPIC_EXCEPTION: 'kafka-topic',
  MESSAGE_TOO_LARGE: 'kafka-too-large',
  RECORD_LIST_TOO_LARGE: 'kafka-too-large',
  TOPIC_AUTHORIZATION_FAILED: 'kafka-denied',
  GROUP_AUTHORIZATION_FAILED: 'kafka-denied',
  CLUSTER_AUTHORIZATION_FAILED: 'kafka-denied',
  SASL_AUTHENTICATION_FAILED: 'kafka-denied',
};

/**
 * Failed('kafka-topic' | 'kafka-too-large' | 'kafka-denied' | 'kafka-down'): a topic can be made, a
 * right granted and a broker started while we go on trying.
 */
export function asFailure(error: unknown): Failed {
  if (error instanceof Failed) return error;
  const message = error instanceof Error ? error.message : String(error);
  const isDenied = error instanceof Error && error.name === 'KafkaJSSASLAuthenticationError';
  const code = isDenied ? 'kafka-denied' : (codes[protocolError(error) ?? ''] ?? 'kafka-down');
  return new Failed(code, `Kafka: ${message}`, { cause: error });
}

/** What the broker itself said, anywhere down the causes; undefined where none did. */
function protocolError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('type' in error && typeof error.type === 'string') return error.type;
  return protocolError(error.cause);
}
