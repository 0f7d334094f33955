#!/usr/bin/python3
"""The Celery interop scenarios: see ../README for what each one proves.

usage: interop.py URI [SCENARIO ...]

Each starts a real worker process (prefork, with gossip, mingle, events and remote control as Celery
has them by default), checks that it answers remote control, and that nothing is left on the queue
after a warm stop.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

TASKS = 1000
COUNTDOWNS_S = [n * 0.1 for n in range(30)]
ETAS_S = [1.0, 0.5, 2.0]
EARLY_S = 0.01  # clocks are compared between processes of one machine
PRIORITIES = [0, 3, 9, 1, 3, None, 9, 5, 0, 5, 200, 1]
LIMIT_S = 150
WAIT_S = 60


class Failed(Exception):
    """An assertion of the scenario does not hold."""


def same(what, got, want):
    if got != want:
        raise Failed('%s: got %.300r, want %.300r' % (what, got, want))


def start_worker(log, queue, concurrency):
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.Popen(
        [sys.executable, '-m', 'celery', '-A', 'tasks', 'worker',
         '--concurrency', str(concurrency), '--queues', queue,
         '--prefetch-multiplier', '1' if concurrency == 1 else '4',
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


def check_due(tasks):
    """Tasks for later: none runs before its time, however many the worker holds back at once."""
    import datetime
    due = [(time.time() + s, tasks.now.apply_async(countdown=s)) for s in COUNTDOWNS_S]
    for s in ETAS_S:
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=s)
        due.append((at.timestamp(), tasks.now.apply_async(eta=at)))
    due.append((time.time(), tasks.now.apply_async()))
    late = []
    for at, result in due:
        ran = result.get(timeout=WAIT_S)
        if ran < at - EARLY_S:
            raise Failed('a task ran %.3f s before its time' % (at - ran))
        late.append(ran - at)
    if min(late) > WAIT_S / 2:
        raise Failed('every task ran %.1f s late' % min(late))


def queue_by_priority(tasks):
    return [tasks.turn.apply_async(queue=tasks.URGENT, priority=p) for p in PRIORITIES]


def check_order(results):
    """The worker takes one at a time: highest priority first, in order of sending within one."""
    turns = [result.get(timeout=WAIT_S) for result in results]
    order = sorted(range(len(turns)), key=turns.__getitem__)
    want = sorted(range(len(turns)), key=lambda n: -min(PRIORITIES[n] or 0, 9))
    same('order', order, want)


def check_expired(tasks):
    """A task whose time has passed is revoked by the worker; the queue is drained all the same."""
    from celery.exceptions import TaskRevokedError
    result = tasks.now.apply_async(countdown=1, expires=0.2)
    try:
        raise Failed('an expired task ran at %s' % result.get(timeout=WAIT_S))
    except TaskRevokedError:
        pass


def check_nothing_left(app, queue):
    with app.connection_for_read() as connection:
        ok = connection.default_channel.queue_declare(queue, passive=True)
        same('messages and consumers left', (ok.message_count, ok.consumer_count), (0, 0))


def clean_up(app, tasks):
    app.close()
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        for queue in (tasks.QUEUE, tasks.URGENT):
            channel.queue_delete(queue)
        for exchange in tasks.EXCHANGES:
            channel.exchange_delete(exchange)


def with_worker(tasks, log, queue, concurrency, check):
    worker = start_worker(log, queue, concurrency)
    try:
        await_worker(tasks.app, worker)
        check()
        stop_worker(worker)
        check_nothing_left(tasks.app, queue)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def scenario_tasks(tasks, log):
    with_worker(tasks, log, tasks.QUEUE, 2, lambda: check_results(tasks))


def scenario_eta(tasks, log):
    def check():
        check_due(tasks)
        check_expired(tasks)
    with_worker(tasks, log, tasks.QUEUE, 2, check)


def scenario_priorities(tasks, log):
    results = queue_by_priority(tasks)
    with_worker(tasks, log, tasks.URGENT, 1, lambda: check_order(results))


SCENARIOS = {'tasks': scenario_tasks, 'eta': scenario_eta, 'priorities': scenario_priorities}


def on_alarm(_signal, _frame):
    raise Failed('not done after %d s' % LIMIT_S)


def run(name, tasks):
    """True when it passed."""
    with tempfile.TemporaryFile('w+') as log:
        try:
            signal.alarm(LIMIT_S)
            SCENARIOS[name](tasks, log)
        except Exception as error:  # whatever it is, the scenario failed
            print('not ok celery %s: %s: %s' % (name, type(error).__name__, error), flush=True)
            log.seek(0)
            sys.stderr.writelines(log.readlines()[-40:])
            return False
        finally:
            signal.alarm(0)
    print('ok celery ' + name, flush=True)
    return True


def main(arguments):
    names = arguments[1:] or list(SCENARIOS)
    if not arguments or any(n not in SCENARIOS for n in names):
        sys.exit('usage: interop.py URI [SCENARIO ...]; scenarios: ' + ' '.join(SCENARIOS))
    os.environ['INTEROP_URI'] = arguments[0]
    os.environ['INTEROP_RUN'] = 'leveret.celery.%d-%s' % (os.getpid(), os.urandom(4).hex())
    sys.dont_write_bytecode = True
    import tasks  # configured by the two variables above
    signal.signal(signal.SIGALRM, on_alarm)
    try:
        passed = [run(name, tasks) for name in names]
    finally:
        clean_up(tasks.app, tasks)
    return 0 if all(passed) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
