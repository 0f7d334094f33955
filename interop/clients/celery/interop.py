#!/usr/bin/python3
"""The Celery interop scenario: see ../README for what it proves.

usage: interop.py URI

Starts a real worker process (prefork, with gossip, mingle, events and remote control as Celery has
them by default), sends it TASKS tasks at once and checks every result, how often each was retried,
that the worker answers remote control, and that nothing is left on the queue after a warm stop.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

TASKS = 1000
LIMIT_S = 150
WAIT_S = 60


class Failed(Exception):
    """An assertion of the scenario does not hold."""


def same(what, got, want):
    if got != want:
        raise Failed('%s: got %.300r, want %.300r' % (what, got, want))


def start_worker(log):
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.Popen(
        [sys.executable, '-m', 'celery', '-A', 'tasks', 'worker', '--concurrency', '2',
         '--hostname', 'interop-%d@localhost' % os.getpid(), '--loglevel', 'INFO'],
        cwd=here, stdout=log, stderr=subprocess.STDOUT,
        env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))


def stop_worker(worker):
    """A warm stop: the worker settles what it has and disconnects."""
    worker.send_signal(signal.SIGTERM)
    try:
        same('exit status of the worker', worker.wait(WAIT_S), 0)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def await_worker(app, worker):
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if worker.poll() is not None:
            raise Failed('the worker ended with status %d' % worker.returncode)
        replies = app.control.ping(timeout=1)
        if replies:
            same('ping', replies,
                 [{'interop-%d@localhost' % os.getpid(): {'ok': 'pong'}}])
            return
    raise Failed('timed out waiting for the worker to answer a ping')


def check_results(tasks):
    from celery import group
    results = group(tasks.square.s(n) for n in range(TASKS))().get(timeout=WAIT_S)
    same('results', len(results), TASKS)
    for n, result in enumerate(results):
        same('task %d' % n, result, [n * n, tasks.failures(n)[0], tasks.QUEUE])


def check_nothing_left(app, queue):
    with app.connection_for_read() as connection:
        ok = connection.default_channel.queue_declare(queue, passive=True)
        same('messages and consumers left', (ok.message_count, ok.consumer_count), (0, 0))


def clean_up(app, tasks):
    app.close()
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        channel.queue_delete(tasks.QUEUE)
        for exchange in tasks.EXCHANGES:
            channel.exchange_delete(exchange)


def scenario(tasks, log):
    worker = start_worker(log)
    try:
        await_worker(tasks.app, worker)
        check_results(tasks)
        stop_worker(worker)
        check_nothing_left(tasks.app, tasks.QUEUE)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
        clean_up(tasks.app, tasks)


def on_alarm(_signal, _frame):
    raise Failed('not done after %d s' % LIMIT_S)


def main(arguments):
    if len(arguments) != 1:
        sys.exit('usage: interop.py URI')
    os.environ['INTEROP_URI'] = arguments[0]
    os.environ['INTEROP_RUN'] = 'leveret.celery.%d-%s' % (os.getpid(), os.urandom(4).hex())
    sys.dont_write_bytecode = True
    import tasks  # configured by the two variables above
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(LIMIT_S)
    with tempfile.TemporaryFile('w+') as log:
        try:
            scenario(tasks, log)
        except Exception as error:  # whatever it is, the scenario failed
            print('not ok celery tasks: %s: %s' % (type(error).__name__, error))
            log.seek(0)
            sys.stderr.writelines(log.readlines()[-40:])
            return 1
    print('ok celery tasks')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
