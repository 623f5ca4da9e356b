import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { generate, parser, type Packet } from 'mqtt-packet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionLimits } from '#ingestion/mqtt-agreement.ts';
import { openMqtt, type MqttConnection, type Receive } from '#ingestion/mqtt-connection.ts';
import { createSubscriber, type Subscriber } from '#ingestion/mqtt-subscriber.ts';
import { anybody } from './external-rig.ts';
import { quiet, until } from './rig.ts';

/** A broker that answers as the test says: for what no broker here does by itself. */
interface Scripted {
  answer: (packet: Packet, send: (...packets: Packet[]) => void) => void;
  readonly heard: Packet[];
}

const v5 = { protocolVersion: 5 } as const;
const welcome: Packet = { cmd: 'connack', reasonCode: 0, sessionPresent: false };
const limits: ConnectionLimits = {
  receiveMaximum: 10,
  packetBytes: 1_000,
  sessionExpiryS: 60,
  keepaliveS: 30,
  connectMs: 500,
  publishing: 10,
  publishQueue: 100,
};

describe('a connection to an MQTT 5 broker', () => {
  let server: Server;
  let sockets: Socket[] = [];
  let script: Scripted;
  let open: { end: () => void | Promise<void> }[] = [];

  beforeEach(async () => {
    script = {
      heard: [],
      answer: (packet, send) => {
        if (packet.cmd === 'connect') send(welcome);
        if (packet.cmd === 'subscribe') {
          send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: [1] });
        }
      },
    };
    server = createServer((socket) => {
      sockets.push(socket);
      const reading = parser(v5);
      reading.on('packet', (packet) => {
        script.heard.push(packet);
        script.answer(packet, (...packets) => {
          socket.write(Buffer.concat(packets.map((one) => generate(one, v5))));
        });
      });
      socket.on('data', (chunk) => reading.parse(chunk));
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const { end } of open) await end();
    for (const socket of sockets) socket.destroy();
    sockets = [];
    open = [];
    server.close();
  });

  const access = () => ({
    ...anybody,
    clientId: 'me',
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  const taken: Receive = () => Promise.resolve(0);
  async function connect(receive = taken): Promise<MqttConnection> {
    const connection = await openMqtt(access(), { limits, receive });
    open.push({ end: () => connection.end(0, 'over') });
    return connection;
  }
  function subscriber(receive = taken): Subscriber {
    const made = createSubscriber({
      access: access(),
      filter: '$share/g/a',
      receive,
      random: () => 0,
      logger: quiet,
      limits: { ...limits, backoffFirstMs: 10, backoffMostMs: 50, drainMs: 100 },
    });
    open.push({ end: made.stop });
    return made;
  }
  function publish(messageId: number, payload = 'x'): Packet {
    return { cmd: 'publish', topic: 'a', payload, messageId, qos: 1, dup: false, retain: false };
  }
  const of = (cmd: string): Packet[] => script.heard.filter((packet) => packet.cmd === cmd);

  it('asks for the session that is there, and says its limits', async () => {
    await connect();
    expect(of('connect')[0]).toMatchObject({
      protocolVersion: 5,
      clean: false,
      clientId: 'me',
      keepalive: 30,
      properties: { sessionExpiryInterval: 60, receiveMaximum: 10, maximumPacketSize: 1_000 },
    });
  });

  it('gets what comes in one breath with the welcome', async () => {
    const got: string[] = [];
    script.answer = (packet, send) => {
      if (packet.cmd === 'connect') send(welcome, publish(1, 'one'), publish(2, 'two'));
    };
    await connect(({ bytes }) => {
      got.push(Buffer.from(bytes).toString());
      return Promise.resolve(0);
    });
    await until(() => of('puback').length === 2);
    expect(got).toEqual(['one', 'two']);
  });

  it('tells what will pass from what somebody must change', async () => {
    const refusals: [Packet, { name: string; code: string }][] = [
      [
        { ...welcome, reasonCode: 0x87 },
        { name: 'Refused', code: 'mqtt-access' },
      ],
      [
        { ...welcome, reasonCode: 0x88 },
        { name: 'Failed', code: 'connect' },
      ],
      [{ cmd: 'pingresp' }, { name: 'Failed', code: 'mqtt-form' }],
      ...(['sharedSubscriptionAvailable', 'wildcardSubscriptionAvailable'] as const).map(
        (name): [Packet, { name: string; code: string }] => [
          { ...welcome, properties: { [name]: false } },
          { name: 'Refused', code: 'mqtt-access' },
        ],
      ),
    ];
    for (const [answer, error] of refusals) {
      script.answer = (_, send) => send(answer);
      await expect(connect()).rejects.toMatchObject(error);
    }
    script.answer = () => undefined;
    await expect(connect()).rejects.toMatchObject({ name: 'Failed', code: 'connect' });
    const nobody = { ...access(), url: 'mqtt://127.0.0.1:1' };
    await expect(openMqtt(nobody, { limits, receive: taken })).rejects.toMatchObject({
      name: 'Failed',
      code: 'connect',
    });
  });

  it('publishes no more at one time than the broker takes, and nothing longer', async () => {
    script.answer = (packet, send) => {
      const properties = { receiveMaximum: 2, maximumPacketSize: 100 };
      if (packet.cmd === 'connect') send({ ...welcome, properties });
    };
    const connection = await connect();
    const all = Promise.all(
      Array.from({ length: 5 }, () => connection.publish('a', Buffer.from('r'))),
    );
    for (let answered = 0; answered < 5; answered++) {
      await until(() => of('publish').length === Math.min(5, answered + 2));
      const { messageId = 0 } = of('publish')[answered] ?? {};
      sockets[0]?.write(generate({ cmd: 'puback', messageId, reasonCode: 0 }, v5));
    }
    await all;
    await expect(connection.publish('a', Buffer.alloc(100))).rejects.toMatchObject({
      code: 'mqtt-refused',
    });
    const lost = connection.publish('a', Buffer.from('r'));
    sockets[0]?.destroy();
    await expect(lost).rejects.toMatchObject({ name: 'Failed', code: 'offline' });
  });

  it('ends when the broker sends what is too long, or is none of MQTT 5', async () => {
    for (const bytes of ['32ffff7f', 'f500', '2005']) {
      script.heard.length = 0;
      const connection = await connect();
      sockets.at(-1)?.write(Buffer.from(`${bytes}${'00'.repeat(2_000)}`, 'hex'));
      expect(await connection.closed).toMatchObject({ code: 'mqtt-form' });
    }
  });

  it('asks a quiet broker for a sign of life, and gives up one that gives none', async () => {
    script.answer = (packet, send) => {
      if (packet.cmd === 'connect') send({ ...welcome, properties: { serverKeepAlive: 1 } });
    };
    const connection = await connect();
    expect(await connection.closed).toMatchObject({ code: 'silent' });
    expect(of('pingreq').length).toBeGreaterThan(0);
  });

  it('acknowledges nothing of a connection on the next', async () => {
    const settle: ((code: number) => void)[] = [];
    const made = subscriber(() => new Promise((resolve) => settle.push(resolve)));
    await made.start();
    await until(() => made.isConnected());
    sockets[0]?.write(generate(publish(7), v5));
    await until(() => settle.length === 1);
    sockets[0]?.destroy();
    await until(() => sockets.length === 2 && made.isConnected());
    settle[0]?.(0);
    sockets[1]?.write(generate(publish(8), v5));
    await until(() => settle.length === 2);
    settle[1]?.(0);
    await until(() => of('puback').length > 0);
    expect(of('puback')).toMatchObject([{ messageId: 8 }]);
  });

  it('is over for good where another client has its name, or the group is refused', async () => {
    const made = subscriber();
    await made.start();
    await until(() => made.isConnected());
    sockets[0]?.write(generate({ cmd: 'disconnect', reasonCode: 0x8e }, v5));
    expect(await made.died).toMatchObject({ code: 'session-taken' });
    for (const granted of [0, 0x87, 0x9e]) {
      script.answer = (packet, send) => {
        if (packet.cmd === 'connect') send(welcome);
        const { messageId = 0 } = packet;
        if (packet.cmd === 'subscribe') send({ cmd: 'suback', messageId, granted: [granted] });
      };
      const other = subscriber();
      await other.start();
      expect(await other.died).toMatchObject({ name: 'Refused', code: 'mqtt-access' });
    }
  });
});
