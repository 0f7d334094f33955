#!/usr/bin/python3
"""The client interop scenarios with pika (see ../README for what each one proves).

usage: interop.py URI [SCENARIO ...]

One thread. Every broker object has a name unique to the run and is deleted when its scenario ends,
passed or not; a wait is for a condition and ends after WAIT_S seconds, a scenario after SCENARIO_S.
"""
import os
import signal
import sys
import time

import pika
from pika.exceptions import ChannelClosedByBroker, UnroutableError

WAIT_S = 20
SCENARIO_S = 60
POLL_S = 0.02
DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to'
RUN = 'leveret.python.%d-%s' % (os.getpid(), os.urandom(4).hex())


class Failed(Exception):
    """An assertion of a scenario does not hold."""


def same(what, got, want):
    if got != want:
        raise Failed('%s: got %.200r, want %.200r' % (what, got, want))


def check(what, holds):
    if not holds:
        raise Failed(what)


class Inbox:
    """A consumer that keeps what it is sent; holds at most what the broker chose to send."""

    def __init__(self, channel, queue, auto_ack=True):
        self.channel = channel
        self.got = []
        self.tag = channel.basic_consume(queue, self._on_message, auto_ack=auto_ack)

    def _on_message(self, _channel, method, properties, body):
        self.got.append((method, properties, body))

    def bodies(self):
        return [body.decode() for _, _, body in self.got]

    def ack(self, index):
        self.channel.basic_ack(self.got[index][0].delivery_tag)


class Scenario:
    """Connections and names of one scenario, and the clean-up of both."""

    def __init__(self, uri, name):
        self.uri = uri
        self.prefix = '%s.%s' % (RUN, name)
        self.connections = []
        self.queues = []
        self.exchanges = []

    def connect(self):
        parameters = pika.URLParameters(self.uri)
        parameters.socket_timeout = WAIT_S
        parameters.blocked_connection_timeout = WAIT_S
        self.connections.append(pika.BlockingConnection(parameters))
        return self.connections[-1]

    def channel(self):
        return self.connect().channel()

    def queue(self, channel, suffix='q', **flags):
        name = '%s.%s' % (self.prefix, suffix)
        self.queues.append(name)
        ok = channel.queue_declare(name, **flags).method
        same('declare-ok', (ok.queue, ok.message_count, ok.consumer_count), (name, 0, 0))
        return name

    def exchange(self, channel, kind):
        name = '%s.x' % self.prefix
        self.exchanges.append(name)
        channel.exchange_declare(name, kind)
        return name

    def wait(self, what, condition):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise Failed('timed out waiting for ' + what)
            for connection in self.connections:
                if connection.is_open:
                    connection.process_data_events(time_limit=POLL_S)

    def wait_ready(self, channel, queue, messages, consumers=0):
        """RabbitMQ answers a passive declare ahead of queued publishes, so counts are awaited."""
        def condition():
            ok = channel.queue_declare(queue, passive=True).method
            return (ok.message_count, ok.consumer_count) == (messages, consumers)
        self.wait('%d ready messages and %d consumers' % (messages, consumers), condition)

    def clean_up(self):
        for connection in self.connections:
            if connection.is_open:
                connection.close()
        self.connections.clear()
        connection = self.connect()
        channel = connection.channel()
        for name in self.queues:
            channel.queue_delete(name)
        for name in self.exchanges:
            channel.exchange_delete(name)
        connection.close()


def publish(channel, exchange, key, body, **properties):
    channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties))


def drain(channel, queue):
    bodies = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return bodies
        bodies.append(body.decode())


def hello(s):
    channel = s.channel()
    queue = s.queue(channel)
    properties = dict(
        content_type='text/plain', content_encoding='utf-8', delivery_mode=2, priority=3,
        headers={'n': 7, 'flag': True, 's': 'x', 'nested': {'a': 'b'}, 'list': [1, 'two']},
        correlation_id='c-1', reply_to='nowhere', expiration='60000', message_id='m-1',
        timestamp=1700000000, type='greeting', app_id='interop',
        user_id=pika.URLParameters(s.uri).credentials.username)
    large = bytes(i * 31 % 251 for i in range(1 << 20))
    publish(channel, '', queue, b'Hello World!', **properties)
    publish(channel, '', queue, b'')
    publish(channel, '', queue, large)
    s.wait_ready(channel, queue, 3)
    inbox = Inbox(s.channel(), queue)
    s.wait('3 messages', lambda: len(inbox.got) >= 3)
    same('bodies', [g[2] for g in inbox.got], [b'Hello World!', b'', large])
    for method, _, _ in inbox.got:
        same('deliver', (method.exchange, method.routing_key, method.redelivered),
             ('', queue, False))
    for name, want in properties.items():
        same(name, getattr(inbox.got[0][1], name), want)
    same('no headers', inbox.got[1][1].headers, None)
    s.wait_ready(channel, queue, 0, 1)


def work(s):
    publisher = s.channel()
    fair_dispatch(s, publisher)
    redelivery(s, publisher)


def fair_dispatch(s, publisher):
    queue = s.queue(publisher, 'fair', durable=True)
    fast, slow = s.channel(), s.channel()
    fast.basic_qos(prefetch_count=1)
    slow.basic_qos(prefetch_count=1)
    fast_box, slow_box = Inbox(fast, queue, False), Inbox(slow, queue, False)
    tasks = ['task %d' % i for i in range(20)]
    for task in tasks:
        publish(publisher, '', queue, task, delivery_mode=2)
    for done in range(19):  # the slow worker sits on its first task all the while
        s.wait('task %d for the fast worker' % done, lambda: len(fast_box.got) > done)
        same('held by the fast worker', len(fast_box.got), done + 1)
        fast_box.ack(done)
    same('tasks of the slow worker', len(slow_box.got), 1)
    slow_box.ack(0)
    same('all tasks once', sorted(fast_box.bodies() + slow_box.bodies()), sorted(tasks))
    same('order', fast_box.bodies(), [t for t in tasks if t not in slow_box.bodies()])
    fast.connection.close()
    slow.connection.close()
    s.wait_ready(publisher, queue, 0)


def redelivery(s, publisher):
    queue = s.queue(publisher, 'dies', durable=True)
    tasks = ['task %d' % i for i in range(5)]
    for task in tasks:
        publish(publisher, '', queue, task, delivery_mode=2)
    kill_worker_holding(s, queue, 3)
    s.wait_ready(publisher, queue, 5)
    heir = s.channel()
    heir.basic_qos(prefetch_count=5)
    inbox = Inbox(heir, queue, False)
    s.wait('5 tasks', lambda: len(inbox.got) >= 5)
    same('tasks in order', inbox.bodies(), tasks)
    same('redelivered', [g[0].redelivered for g in inbox.got], [True] * 3 + [False] * 2)
    heir.basic_ack(inbox.got[4][0].delivery_tag, multiple=True)
    heir.connection.close()
    s.wait_ready(publisher, queue, 0)


def kill_worker_holding(s, queue, count):
    """A worker process takes count tasks, acknowledges none, and is killed with SIGKILL."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SCENARIO_S)  # never outlives the scenario, whatever becomes of the parent
        try:
            worker = Scenario(s.uri, 'worker')
            channel = worker.channel()
            channel.basic_qos(prefetch_count=count)
            inbox = Inbox(channel, queue, False)
            worker.wait('tasks to hold', lambda: len(inbox.got) >= count)
            os.write(writer, b'%d' % len(inbox.got))
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    try:
        held = os.read(reader, 8)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    same('held by the worker that dies', held, b'%d' % count)


def pubsub(s):
    publisher = s.channel()
    exchange = s.exchange(publisher, 'fanout')
    publish(publisher, exchange, '', 'nobody listens yet')
    publisher.basic_qos()  # answered when that was routed
    names, inboxes = [], []
    for _ in range(3):
        channel = s.channel()
        names.append(channel.queue_declare('', exclusive=True).method.queue)
        check('server-named queue: ' + names[-1], names[-1].startswith('amq.gen-'))
        channel.queue_bind(names[-1], exchange)
        inboxes.append(Inbox(channel, names[-1]))
    same('distinct names', len(set(names)), 3)
    for i in range(10):
        publish(publisher, exchange, 'ignored', 'log %d' % i)
    for inbox in inboxes:
        s.wait('10 logs', lambda: len(inbox.got) >= 10)
    inboxes[2].channel.queue_unbind(names[2], exchange)
    publish(publisher, exchange, '', 'last')
    for inbox in inboxes[:2]:
        s.wait('the last log', lambda: len(inbox.got) >= 11)
    s.wait_ready(inboxes[2].channel, names[2], 0, 1)
    logs = ['log %d' % i for i in range(10)]
    same('logs', [i.bodies() for i in inboxes], [logs + ['last'], logs + ['last'], logs])
    try:
        publisher.queue_declare(names[0], passive=True)
    except ChannelClosedByBroker as closed:
        same('exclusive elsewhere', closed.reply_code, 405)
    else:
        raise Failed('an exclusive queue was seen from another connection')


def routing(s):
    channel = s.channel()
    exchange = s.exchange(channel, 'direct')
    errors, most = s.queue(channel, 'errors'), s.queue(channel, 'most')
    channel.queue_bind(errors, exchange, 'error')
    for severity in ('info', 'warning', 'error', 'error'):
        channel.queue_bind(most, exchange, severity)
    for severity in ('info', 'debug', 'error', 'warning', 'error', 'errors', ''):
        publish(channel, exchange, severity, severity)
    same('errors', drain(channel, errors), ['error', 'error'])
    same('most', drain(channel, most), ['info', 'error', 'warning', 'error'])
    channel.queue_unbind(most, exchange, 'error')
    for severity in ('error', 'info'):
        publish(channel, exchange, severity, severity)
    same('errors again', drain(channel, errors), ['error'])
    same('most without error', drain(channel, most), ['info'])


TOPIC_BINDINGS = {'orange': ['*.orange.*'], 'rabbit': ['*.*.rabbit', 'lazy.#'], 'all': ['#']}
TOPIC_KEYS = {
    'quick.orange.rabbit': 'orange rabbit', 'lazy.orange.elephant': 'orange rabbit',
    'quick.orange.fox': 'orange', 'lazy.brown.fox': 'rabbit', 'lazy.pink.rabbit': 'rabbit',
    'quick.brown.fox': '', 'orange': '', 'quick.orange.new.rabbit': '',
    'lazy.orange.new.rabbit': 'rabbit', 'lazy': 'rabbit', '': '', 'last.orange.rabbit':
    'orange rabbit'}


def topics(s):
    channel = s.channel()
    exchange = s.exchange(channel, 'topic')
    inboxes = {}
    for suffix, patterns in TOPIC_BINDINGS.items():
        queue = s.queue(channel, suffix)
        for pattern in patterns:
            channel.queue_bind(queue, exchange, pattern)
        inboxes[suffix] = Inbox(s.channel(), queue)
    for key in TOPIC_KEYS:
        publish(channel, exchange, key, key)
    for suffix, inbox in inboxes.items():
        s.wait('the last topic', lambda: 'last.orange.rabbit' in inbox.bodies())
        want = [k for k, queues in TOPIC_KEYS.items() if suffix in queues.split() + ['all']]
        same(suffix, inbox.bodies(), want if suffix != 'all' else list(TOPIC_KEYS))
        same('keys', [g[0].routing_key for g in inbox.got], inbox.bodies())


def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def rpc(s):
    server = s.channel()
    queue = s.queue(server, 'rpc')
    requests = Inbox(server, queue, False)
    clients = [rpc_client(s, None), rpc_client(s, DIRECT_REPLY_TO)]
    for n in range(16):  # both clients use the same correlation ids, for different questions
        for i, (channel, reply_to, _) in enumerate(clients):
            publish(channel, '', queue, str(n + 20 * i), reply_to=reply_to,
                    correlation_id='id-%d' % n)
    s.wait('32 requests', lambda: len(requests.got) >= 32)
    for method, properties, body in reversed(requests.got):
        check('reply_to: ' + properties.reply_to, properties.reply_to == clients[0][1] or
              properties.reply_to.startswith(DIRECT_REPLY_TO + '.'))
        publish(server, '', properties.reply_to, str(fib(int(body))),
                correlation_id=properties.correlation_id)
        server.basic_ack(method.delivery_tag)
    for i, (_, _, replies) in enumerate(clients):
        s.wait('16 replies', lambda: len(replies.got) >= 16)
        answers = [(g[1].correlation_id, int(g[2])) for g in replies.got]
        same('answers', answers, [('id-%d' % n, fib(n + 20 * i)) for n in reversed(range(16))])
    s.wait_ready(server, queue, 0, 1)


def rpc_client(s, reply_to):
    channel = s.channel()
    if reply_to is None:
        reply_to = channel.queue_declare('', exclusive=True).method.queue
    return channel, reply_to, Inbox(channel, reply_to)


def confirms(s):
    channel = s.channel()
    queue = s.queue(channel, durable=True)
    channel.confirm_delivery()
    for i in range(10):  # each returns when its own confirm came, and raises on a nack
        publish(channel, '', queue, 'one %d' % i, delivery_mode=2)
    publish(channel, '', queue + '.absent', 'unroutable is confirmed too')
    s.wait_ready(channel, queue, 10)
    same('confirmed', Batch(s.uri, queue, 200).run(), set(range(1, 201)))
    want = ['one %d' % i for i in range(10)] + ['batch %d' % i for i in range(200)]
    same('contents', drain(channel, queue), want)


class Batch:
    """Publishes count persistent messages at once and collects their confirms."""

    def __init__(self, uri, queue, count):
        self.queue, self.count = queue, count
        self.confirmed, self.error = set(), None
        self.connection = pika.SelectConnection(
            pika.URLParameters(uri), on_open_callback=self._on_open,
            on_open_error_callback=lambda _c, e: self._stop(str(e)),
            on_close_callback=self._on_close)

    def run(self):
        self.connection.ioloop.call_later(WAIT_S, lambda: self._stop('timed out'))
        self.connection.ioloop.start()
        if self.error:
            raise Failed('batch: %s, %d confirmed' % (self.error, len(self.confirmed)))
        return self.confirmed

    def _stop(self, error):
        self.error = self.error or error
        self.connection.ioloop.stop()

    def _on_open(self, connection):
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel):
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._publish(channel))

    def _publish(self, channel):
        for i in range(self.count):
            channel.basic_publish('', self.queue, 'batch %d' % i,
                                  pika.BasicProperties(delivery_mode=2))

    def _on_confirm(self, frame):
        method = frame.method
        if method.NAME != 'Basic.Ack':
            self._stop('got ' + method.NAME)
            return
        first = 1 if method.multiple else method.delivery_tag
        new = set(range(first, method.delivery_tag + 1)) - self.confirmed
        if not new:
            self._stop('confirmed %d twice' % method.delivery_tag)
        self.confirmed |= new
        if len(self.confirmed) == self.count:
            self.connection.close()

    def _on_close(self, _connection, reason):
        self._stop(None if reason.reply_code == 200 else str(reason))


def tx(s):
    channel, other = s.channel(), s.channel()
    queue = s.queue(channel)
    channel.tx_select()
    for i in range(3):
        publish(channel, '', queue, 'committed %d' % i)
    same('before commit, here', drain(channel, queue), [])
    same('before commit, elsewhere', drain(other, queue), [])
    channel.tx_commit()
    same('after commit', drain(other, queue), ['committed %d' % i for i in range(3)])
    publish(channel, '', queue, 'rolled back')
    channel.tx_rollback()
    channel.tx_commit()
    same('after rollback', drain(other, queue), [])
    publish(other, '', queue, 'job')
    s.wait_ready(other, queue, 1)
    same('rolled back ack', tx_ack(s, queue, 'tx_rollback'), (b'job', False))
    s.wait_ready(other, queue, 1)
    same('committed ack', tx_ack(s, queue, 'tx_commit'), (b'job', True))
    s.wait_ready(other, queue, 0)


def tx_ack(s, queue, finish):
    """Acknowledges one message in a transaction that ends with finish, then disconnects."""
    channel = s.channel()
    channel.tx_select()
    method, _, body = channel.basic_get(queue)
    check('nothing to get', method is not None)
    channel.basic_ack(method.delivery_tag)
    getattr(channel, finish)()
    channel.connection.close()
    return body, method.redelivered


def returns(s):
    channel = s.channel()
    queue = s.queue(channel)
    exchange = s.exchange(channel, 'direct')
    channel.queue_bind(queue, exchange, 'bound')
    got = []
    channel.add_on_return_callback(lambda _c, m, p, b: got.append((m, p, b)))
    sent = [(exchange, 'bound', True), (exchange, 'unbound', False), (exchange, 'unbound', True),
            ('', queue + '.absent', True)]
    for i, (where, key, mandatory) in enumerate(sent):
        channel.basic_publish(where, key, 'message %d' % i, mandatory=mandatory,
                              properties=pika.BasicProperties(message_id='m-%d' % i))
    same('routed', drain(channel, queue), ['message 0'])
    s.wait('2 returns', lambda: len(got) >= 2)
    for (method, properties, body), i in zip(got, (2, 3)):
        same('return', (method.reply_code, method.reply_text), (312, 'NO_ROUTE'))
        same('where', (method.exchange, method.routing_key), sent[i][:2])
        same('message', (properties.message_id, body), ('m-%d' % i, b'message %d' % i))
    channel.confirm_delivery()
    try:
        channel.basic_publish(exchange, 'unbound', 'with confirms', mandatory=True)
    except UnroutableError as error:
        same('returned then confirmed', [m.body for m in error.messages], [b'with confirms'])
    else:
        raise Failed('no return before the confirm')
    same('returns', len(got), 2)


SCENARIOS = [hello, work, pubsub, routing, topics, rpc, confirms, tx, returns]


def run(uri, scenario):
    name = scenario.__name__
    s = Scenario(uri, name)
    why = None
    signal.alarm(SCENARIO_S)
    try:
        scenario(s)
    except Exception as error:  # whatever it is, it fails this scenario and only this one
        why = '%s: %s' % (type(error).__name__, error)
    signal.alarm(SCENARIO_S)
    try:
        s.clean_up()
    except Exception as error:
        why = why or 'clean-up: %s: %s' % (type(error).__name__, error)
    signal.alarm(0)
    print('ok python %s' % name if why is None else 'not ok python %s: %s' % (name, why),
          flush=True)
    return why is None


def on_alarm(_signal, _frame):
    raise Failed('timed out waiting for an answer of the broker')


def main(arguments):
    if not arguments:
        sys.exit('usage: interop.py URI [SCENARIO ...]')
    known = {scenario.__name__: scenario for scenario in SCENARIOS}
    unknown = set(arguments[1:]) - set(known)
    if unknown:
        sys.exit('interop.py: no such scenario: ' + ' '.join(sorted(unknown)))
    signal.signal(signal.SIGALRM, on_alarm)
    wanted = [known[name] for name in arguments[1:]] or SCENARIOS
    results = [run(arguments[0], scenario) for scenario in wanted]
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
