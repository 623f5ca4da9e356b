import { Refused } from '#core/errors.ts';
import { messagesTopic, receiptsTopic } from '#core/energy/message.ts';

/** What a meter may do once it has proved its key. Default deny: what is not here is refused. */
export interface Access {
  readonly meter: string;
  readonly plant: string;
}

export interface Publication {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly bytes: number;
}

/** A PUBLISH with its payload: 64 KiB, so that a message of 65,000 bytes fits with its topic. */
export const publicationLimitBytes = 65_536;

/** Throws Refused('qos' | 'retain' | 'topic' | 'size'); then the connection ends, unacknowledged. */
export function checkPublication({ plant, meter }: Access, publication: Publication): void {
  if (publication.topic !== messagesTopic(plant, meter)) {
    throw new Refused('topic', `${meter} may not publish there`);
  }
  if (publication.qos !== 1) throw new Refused('qos', 'messages are sent with QoS 1');
  if (publication.retain) throw new Refused('retain', 'messages are not retained');
  if (publication.bytes > publicationLimitBytes) {
    throw new Refused('size', `${publication.bytes} bytes, at most ${publicationLimitBytes}`);
  }
}

export function maySubscribe({ plant, meter }: Access, topic: string): boolean {
  return topic === receiptsTopic(plant, meter);
}
