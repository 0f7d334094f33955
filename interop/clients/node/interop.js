// The client interop scenarios with amqplib (see ../README for what each one proves).
//
// usage: NODE_PATH=where/node_modules node interop.js URI [SCENARIO ...]
//
// Scenarios run one after another. Every broker object has a name unique to the run and is deleted
// when its scenario ends, passed or not; a wait ends after WAIT_MS, a scenario after SCENARIO_MS.
'use strict';

const assert = require('assert').strict;
const crypto = require('crypto');
const amqp = require('amqplib');
const defs = require('amqplib/lib/defs');

const WAIT_MS = 20000;
const SCENARIO_MS = 60000;
const POLL_MS = 5;
const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';
const RUN = `leveret.node.${process.pid}-${crypto.randomBytes(4).toString('hex')}`;

// Settles as promise does, or fails after limitMs.
async function within(what, promise, limitMs = WAIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out waiting for ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function same(what, got, want) {
  assert.deepEqual(got, want,
    `${what}: got ${show(got)}, want ${show(want)}`);
}

function show(value) {
  return `${JSON.stringify(value)}`.slice(0, 200);
}

function numbered(prefix, count) {
  return Array.from({length: count}, (_, i) => `${prefix} ${i}`);
}

// A consumer that keeps what it is sent. One inbox to a channel.
class Inbox {
  static async open(channel, queue, options = {noAck: true}) {
    const inbox = new Inbox();
    inbox.channel = channel;
    inbox.got = [];
    inbox.wake = () => {};
    const ok = await channel.consume(queue, message => {
      inbox.got.push(message);
      inbox.wake();
    }, options);
    inbox.tag = ok.consumerTag;
    return inbox;
  }

  // Waits until at least count messages came in all.
  async atLeast(count) {
    await within(`${count} messages`, (async () => {
      while (this.got.length < count) {
        await new Promise(resolve => { this.wake = resolve; });
      }
    })());
  }

  // The bodies of all messages, when the broker has said that no more will come.
  async whole() {
    await this.channel.cancel(this.tag);
    return this.bodies();
  }

  bodies() {
    return this.got.map(message => message.content.toString());
  }
}

// Connections and names of one scenario, and the clean-up of both.
class Scenario {
  constructor(uri, name) {
    this.uri = uri;
    this.prefix = `${RUN}.${name}`;
    this.connections = [];
    this.queues = [];
    this.exchanges = [];
  }

  async connect() {
    const connection = await within('a connection', amqp.connect(this.uri, {timeout: WAIT_MS}));
    connection.open = true;
    connection.on('error', () => {});
    connection.on('close', () => { connection.open = false; });
    this.connections.push(connection);
    return connection;
  }

  async channel(confirming = false) {
    const connection = await this.connect();
    const channel = await (confirming ? connection.createConfirmChannel()
      : connection.createChannel());
    channel.on('error', () => {});
    channel.model = connection;
    return channel;
  }

  // The peer of channel dies: its socket ends without a close handshake.
  cut(channel) {
    channel.model.open = false;
    channel.connection.stream.destroy();
  }

  async queue(channel, suffix = 'q', options = {durable: false}) {
    const name = `${this.prefix}.${suffix}`;
    this.queues.push(name);
    same('declare-ok', {...await channel.assertQueue(name, options)},
      {queue: name, messageCount: 0, consumerCount: 0});
    return name;
  }

  async exchange(channel, kind) {
    const name = `${this.prefix}.x`;
    this.exchanges.push(name);
    await channel.assertExchange(name, kind, {durable: false});
    return name;
  }

  // Polls, since RabbitMQ answers a passive declare ahead of queued publishes.
  async waitReady(channel, queue, messages, consumers = 0) {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const ok = await channel.checkQueue(queue);
      if (ok.messageCount === messages && ok.consumerCount === consumers) {
        return;
      }
      if (Date.now() > deadline) {
        throw new Error(`timed out waiting for ${messages} ready messages and ${consumers} ` +
          `consumers, have ${ok.messageCount} and ${ok.consumerCount}`);
      }
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
    }
  }

  async cleanUp() {
    for (const connection of this.connections.filter(one => one.open)) {
      await connection.close();
    }
    const channel = await this.channel();
    for (const name of this.queues) {
      await channel.deleteQueue(name);
    }
    for (const name of this.exchanges) {
      await channel.deleteExchange(name);
    }
    await channel.model.close();
  }
}

function publish(channel, exchange, key, body, options) {
  channel.publish(exchange, key, Buffer.from(body), options);
}

async function drain(channel, queue) {
  const bodies = [];
  for (;;) {
    const message = await channel.get(queue, {noAck: true});
    if (!message) {
      return bodies;
    }
    bodies.push(message.content.toString());
  }
}

async function hello(s) {
  const channel = await s.channel();
  const queue = await s.queue(channel);
  const properties = {
    contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 3,
    correlationId: 'c-1', replyTo: 'nowhere', expiration: '60000', messageId: 'm-1',
    timestamp: 1700000000, type: 'greeting', appId: 'interop', userId: new URL(s.uri).username,
    headers: {n: 7, flag: true, s: 'x', nested: {a: 'b'}, list: [1, 'two']},
  };
  const large = Buffer.from(Array.from({length: 1 << 20}, (_, i) => i * 31 % 251));
  publish(channel, '', queue, 'Hello World!', properties);
  publish(channel, '', queue, '');
  publish(channel, '', queue, large);
  await s.waitReady(channel, queue, 3);
  const inbox = await Inbox.open(await s.channel(), queue);
  await inbox.atLeast(3);
  same('small bodies', inbox.bodies().slice(0, 2), ['Hello World!', '']);
  assert(inbox.got[2].content.equals(large), 'the large body differs');
  for (const {fields} of inbox.got) {
    same('deliver', [fields.exchange, fields.routingKey, fields.redelivered], ['', queue, false]);
  }
  for (const name of Object.keys(properties)) {
    same(name, inbox.got[0].properties[name], properties[name]);
  }
  same('no properties', inbox.got[1].properties.contentType, undefined);
  await s.waitReady(channel, queue, 0, 1);
}

async function work(s) {
  const publisher = await s.channel();
  await fairDispatch(s, publisher);
  await redelivery(s, publisher);
}

async function fairDispatch(s, publisher) {
  const queue = await s.queue(publisher, 'fair', {durable: true});
  const fast = await s.channel();
  const slow = await s.channel();
  await fast.prefetch(1);
  await slow.prefetch(1);
  const fastInbox = await Inbox.open(fast, queue, {noAck: false});
  const slowInbox = await Inbox.open(slow, queue, {noAck: false});
  const tasks = numbered('task', 20);
  tasks.forEach(task => publish(publisher, '', queue, task, {persistent: true}));
  for (let done = 0; done < 19; done++) { // the slow worker sits on its first task all the while
    await fastInbox.atLeast(done + 1);
    same('held by the fast worker', fastInbox.got.length, done + 1);
    fast.ack(fastInbox.got[done]);
  }
  await slowInbox.atLeast(1);
  same('tasks of the slow worker', (await slowInbox.whole()).length, 1);
  slow.ack(slowInbox.got[0]);
  const others = tasks.filter(task => task !== slowInbox.bodies()[0]);
  same('all other tasks in order', await fastInbox.whole(), others);
  await s.waitReady(publisher, queue, 0);
}

async function redelivery(s, publisher) {
  const queue = await s.queue(publisher, 'dies', {durable: true});
  const tasks = numbered('task', 5);
  tasks.forEach(task => publish(publisher, '', queue, task, {persistent: true}));
  const dying = await s.channel();
  await dying.prefetch(3);
  const held = await Inbox.open(dying, queue, {noAck: false});
  await held.atLeast(3);
  await s.waitReady(publisher, queue, 2, 1);
  same('held', held.bodies(), tasks.slice(0, 3));
  s.cut(dying);
  await s.waitReady(publisher, queue, 5);
  const heir = await s.channel();
  await heir.prefetch(5);
  const inbox = await Inbox.open(heir, queue, {noAck: false});
  await inbox.atLeast(5);
  same('tasks in order', inbox.bodies(), tasks);
  same('redelivered', inbox.got.map(one => one.fields.redelivered),
    [true, true, true, false, false]);
  heir.ack(inbox.got[4], true);
  await heir.close();
  await s.waitReady(publisher, queue, 0);
}

async function pubsub(s) {
  const publisher = await s.channel();
  const exchange = await s.exchange(publisher, 'fanout');
  publish(publisher, exchange, '', 'nobody listens yet');
  await publisher.prefetch(0); // answered when that was routed
  const names = [];
  const inboxes = [];
  for (let i = 0; i < 3; i++) {
    const channel = await s.channel();
    const {queue} = await channel.assertQueue('', {exclusive: true});
    assert(queue.startsWith('amq.gen-'), `server-named queue: ${queue}`);
    await channel.bindQueue(queue, exchange, '');
    names.push(queue);
    inboxes.push(await Inbox.open(channel, queue));
  }
  same('distinct names', new Set(names).size, 3);
  const logs = numbered('log', 10);
  logs.forEach(log => publish(publisher, exchange, 'ignored', log));
  await Promise.all(inboxes.map(inbox => inbox.atLeast(10)));
  await inboxes[2].channel.unbindQueue(names[2], exchange, '');
  publish(publisher, exchange, '', 'last');
  await Promise.all(inboxes.slice(0, 2).map(inbox => inbox.atLeast(11)));
  const got = await Promise.all(inboxes.map(inbox => inbox.whole()));
  same('logs', got, [[...logs, 'last'], [...logs, 'last'], logs]);
  await s.waitReady(inboxes[2].channel, names[2], 0);
  await assert.rejects(publisher.checkQueue(names[0]), {code: 405});
}

async function routing(s) {
  const channel = await s.channel();
  const exchange = await s.exchange(channel, 'direct');
  const errors = await s.queue(channel, 'errors');
  const most = await s.queue(channel, 'most');
  await channel.bindQueue(errors, exchange, 'error');
  for (const severity of ['info', 'warning', 'error', 'error']) {
    await channel.bindQueue(most, exchange, severity);
  }
  for (const severity of ['info', 'debug', 'error', 'warning', 'error', 'errors', '']) {
    publish(channel, exchange, severity, severity);
  }
  same('errors', await drain(channel, errors), ['error', 'error']);
  same('most', await drain(channel, most), ['info', 'error', 'warning', 'error']);
  await channel.unbindQueue(most, exchange, 'error');
  ['error', 'info'].forEach(severity => publish(channel, exchange, severity, severity));
  same('errors again', await drain(channel, errors), ['error']);
  same('most without error', await drain(channel, most), ['info']);
}

const TOPIC_BINDINGS = {orange: ['*.orange.*'], rabbit: ['*.*.rabbit', 'lazy.#'], all: ['#']};
// Published in this order; the value names the queues, besides all, that get a copy.
const TOPIC_KEYS = {
  'quick.orange.rabbit': 'orange rabbit', 'lazy.orange.elephant': 'orange rabbit',
  'quick.orange.fox': 'orange', 'lazy.brown.fox': 'rabbit', 'lazy.pink.rabbit': 'rabbit',
  'quick.brown.fox': '', 'orange': '', 'quick.orange.new.rabbit': '',
  'lazy.orange.new.rabbit': 'rabbit', 'lazy': 'rabbit', '': '',
  'last.orange.rabbit': 'orange rabbit',
};

async function topics(s) {
  const channel = await s.channel();
  const exchange = await s.exchange(channel, 'topic');
  const inboxes = {};
  for (const [suffix, patterns] of Object.entries(TOPIC_BINDINGS)) {
    const queue = await s.queue(channel, suffix);
    for (const pattern of patterns) {
      await channel.bindQueue(queue, exchange, pattern);
    }
    inboxes[suffix] = await Inbox.open(await s.channel(), queue);
  }
  const keys = Object.keys(TOPIC_KEYS);
  keys.forEach(key => publish(channel, exchange, key, key));
  for (const [suffix, inbox] of Object.entries(inboxes)) {
    const want = keys.filter(key => suffix === 'all' || TOPIC_KEYS[key].includes(suffix));
    await inbox.atLeast(want.length);
    same(suffix, await inbox.whole(), want);
    same('routing keys', inbox.got.map(one => one.fields.routingKey), want);
  }
}

function fib(n) {
  let [a, b] = [0n, 1n];
  for (; n > 0; n--) {
    [a, b] = [b, a + b];
  }
  return a.toString();
}

async function rpc(s) {
  const server = await s.channel();
  const queue = await s.queue(server, 'rpc');
  const requests = await Inbox.open(server, queue, {noAck: false});
  const clients = [await s.channel(), await s.channel()];
  const exclusive = (await clients[0].assertQueue('', {exclusive: true})).queue;
  const replyTo = [exclusive, DIRECT_REPLY_TO];
  const replies = await Promise.all(clients.map((one, i) => Inbox.open(one, replyTo[i])));
  for (let n = 0; n < 16; n++) { // both use the same correlation ids, for different questions
    clients.forEach((client, i) => publish(client, '', queue, String(n + 20 * i),
      {replyTo: replyTo[i], correlationId: `id-${n}`}));
  }
  await requests.atLeast(32);
  for (const request of [...requests.got].reverse()) {
    const to = request.properties.replyTo;
    assert(to === exclusive || to.startsWith(`${DIRECT_REPLY_TO}.`), `reply_to: ${to}`);
    publish(server, '', to, fib(Number(request.content.toString())),
      {correlationId: request.properties.correlationId});
    server.ack(request);
  }
  for (const [i, inbox] of replies.entries()) {
    await inbox.atLeast(16);
    await inbox.whole();
    same('answers', inbox.got.map(one => [one.properties.correlationId, one.content.toString()]),
      Array.from({length: 16}, (_, k) => [`id-${15 - k}`, fib(15 - k + 20 * i)]));
  }
  await s.waitReady(server, queue, 0, 1);
}

async function confirms(s) {
  const channel = await s.channel(true);
  const queue = await s.queue(channel, 'q', {durable: true});
  const want = [...numbered('one', 10), ...numbered('batch', 200)];
  const one = (key, body) => new Promise((resolve, reject) => channel.publish('', key,
    Buffer.from(body), {persistent: true}, error => error ? reject(error) : resolve(body)));
  for (const body of want.slice(0, 10)) {
    await within('a confirm', one(queue, body));
  }
  await within('a confirm', one(`${queue}.absent`, 'unroutable is confirmed too'));
  await s.waitReady(channel, queue, 10);
  const each = Promise.all(want.slice(10).map(body => one(queue, body)));
  await within('all confirms', channel.waitForConfirms());
  same('confirmed', await within('each confirm', each), want.slice(10));
  same('contents', await drain(channel, queue), want);
}

// amqplib has no calls for tx, but knows its methods.
async function txCall(channel, name) {
  await within(`tx ${name}`, channel.rpc(defs[`Tx${name}`], {}, defs[`Tx${name}Ok`]));
}

async function tx(s) {
  const channel = await s.channel();
  const other = await s.channel();
  const queue = await s.queue(channel);
  const want = numbered('committed', 3);
  await txCall(channel, 'Select');
  want.forEach(body => publish(channel, '', queue, body));
  same('before commit, here', await drain(channel, queue), []);
  same('before commit, elsewhere', await drain(other, queue), []);
  await txCall(channel, 'Commit');
  same('after commit', await drain(other, queue), want);
  publish(channel, '', queue, 'rolled back');
  await txCall(channel, 'Rollback');
  await txCall(channel, 'Commit');
  same('after rollback', await drain(other, queue), []);
  publish(other, '', queue, 'job');
  await s.waitReady(other, queue, 1);
  same('rolled back ack', await txAck(s, queue, 'Rollback'), false);
  await s.waitReady(other, queue, 1);
  same('committed ack', await txAck(s, queue, 'Commit'), true);
  await s.waitReady(other, queue, 0);
}

// Acknowledges the job in a transaction that ends with finish, then closes the channel; tells
// whether the job had been redelivered.
async function txAck(s, queue, finish) {
  const channel = await s.channel();
  await txCall(channel, 'Select');
  const message = await channel.get(queue);
  assert(message, 'nothing to get');
  same('job', message.content.toString(), 'job');
  channel.ack(message);
  await txCall(channel, finish);
  await channel.close();
  return message.fields.redelivered;
}

async function returns(s) {
  const channel = await s.channel(true);
  const queue = await s.queue(channel);
  const exchange = await s.exchange(channel, 'direct');
  await channel.bindQueue(queue, exchange, 'bound');
  const events = [];
  channel.on('return', message => events.push(message));
  const sent = [[exchange, 'bound', true], [exchange, 'unbound', false],
    [exchange, 'unbound', true], ['', `${queue}.absent`, true]];
  sent.forEach(([where, key, mandatory], i) => publish(channel, where, key, `message ${i}`,
    {mandatory, messageId: `m-${i}`}));
  same('routed', await drain(channel, queue), ['message 0']);
  same('returns', events.length, 2);
  for (const [k, i] of [2, 3].entries()) {
    const {fields, properties, content} = events[k];
    same('return', [fields.replyCode, fields.replyText], [312, 'NO_ROUTE']);
    same('where', [fields.exchange, fields.routingKey], sent[i].slice(0, 2));
    same('message', [properties.messageId, content.toString()], [`m-${i}`, `message ${i}`]);
  }
  await within('the confirm', new Promise((resolve, reject) => channel.publish(exchange, 'unbound',
    Buffer.from('with confirms'), {mandatory: true}, error => error ? reject(error) : resolve())));
  same('returned before its confirm', events.slice(2).map(one => one.content.toString()),
    ['with confirms']);
}

const SCENARIOS = {hello, work, pubsub, routing, topics, rpc, confirms, tx, returns};

async function run(uri, name) {
  const s = new Scenario(uri, name);
  let why;
  try {
    await within('an answer of the broker', SCENARIOS[name](s), SCENARIO_MS);
  } catch (error) {
    why = error.message;
  }
  try {
    await within('clean-up', s.cleanUp());
  } catch (error) {
    why = why || `clean-up: ${error.message}`;
  }
  console.log(why ? `not ok node ${name}: ${why}` : `ok node ${name}`);
  return !why;
}

async function main([uri, ...wanted]) {
  const unknown = wanted.filter(name => !(name in SCENARIOS));
  if (!uri || unknown.length) {
    console.error(`usage: interop.js URI [SCENARIO ...]; no such scenario: ${unknown}`);
    return 2;
  }
  let status = 0;
  for (const name of wanted.length ? wanted : Object.keys(SCENARIOS)) {
    if (!await run(uri, name)) {
      status = 1;
    }
  }
  return status;
}

main(process.argv.slice(2)).then(status => process.exit(status));
