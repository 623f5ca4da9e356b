import { PGlite } from '@electric-sql/pglite';

/** ReadyForQuery, status idle: the last thing the backend says when it owes a client nothing more. */
const readyAndIdle = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x49);
const sync = Uint8Array.of(0x53, 0, 0, 0, 4);
const terminate = 0x58;

/**
 * PGlite has one session, and pglite-socket lets all its connections use it, one protocol message
 * at a time; it holds other connections back only while `isInTransaction()`. Taken literally that
 * lets the Parse of one connection replace the unnamed statement between another's Parse and Bind,
 * so that rows are written by the wrong statement. Here a connection therefore keeps the session
 * from its first message until the backend has said ReadyForQuery with status idle, which covers
 * transactions and single statements alike.
 */
export class SharedSession extends PGlite {
  #owned = false;

  override isInTransaction(): boolean {
    return this.#owned;
  }

  override async execProtocolRawStream(
    message: Uint8Array,
    options: Parameters<PGlite['execProtocolRawStream']>[1],
  ): Promise<void> {
    if (message[0] === terminate) return;
    const tail = new Uint8Array(readyAndIdle.length);
    this.#owned = true;
    await super.execProtocolRawStream(message, {
      ...options,
      onRawData: (data) => {
        keepTail(tail, data);
        options.onRawData(data);
      },
    });
    this.#owned = !tail.every((byte, i) => byte === readyAndIdle[i]);
  }

  /**
   * pglite-socket calls this with ROLLBACK when a connection ends that owns the session. It may
   * have ended between an error and its Sync, where the backend skips everything up to a Sync.
   */
  override async exec(...args: Parameters<PGlite['exec']>): ReturnType<PGlite['exec']> {
    if (this.#owned) await this.execProtocol(sync, { throwOnError: false });
    const results = await super.exec(...args);
    this.#owned = super.isInTransaction();
    return results;
  }
}

function keepTail(tail: Uint8Array, data: Uint8Array): void {
  const kept = Math.max(0, tail.length - data.length);
  tail.copyWithin(0, tail.length - kept);
  tail.set(data.subarray(Math.max(0, data.length - tail.length)), kept);
}
