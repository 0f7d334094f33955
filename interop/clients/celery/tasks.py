"""The Celery application of the interop test: tasks, some of which fail at first.

Configured by environment: INTEROP_URI is the broker, INTEROP_RUN the prefix of every name that this
application declares, so that runs do not meet and a run can be cleaned up.
"""
import itertools
import os
import time

from celery import Celery
from kombu import Exchange, Queue

RUN = os.environ['INTEROP_RUN']
QUEUE = RUN + '.tasks'
URGENT = RUN + '.urgent'
EXCHANGES = [QUEUE, URGENT, RUN + '.events', RUN + '.control.pidbox',
             'reply.%s.control.pidbox' % RUN]

TURNS = itertools.count()

app = Celery('tasks', broker=os.environ['INTEROP_URI'], backend='rpc://')
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    task_default_queue=QUEUE,
    task_queues=[Queue(QUEUE, Exchange(QUEUE, type='direct'), routing_key=QUEUE),
                 Queue(URGENT, Exchange(URGENT, type='direct'), routing_key=URGENT,
                       max_priority=9)],
    task_default_exchange=QUEUE,
    task_default_routing_key=QUEUE,
    control_exchange=RUN + '.control',
    event_exchange=RUN + '.events',
    event_queue_prefix=RUN + '.event',
    broker_connection_retry=False,
    broker_connection_timeout=20,
    result_expires=600,
)


def failures(n):
    """How often task n fails before it succeeds; and after which delay it is tried again."""
    if n % 10 == 0:
        return 2, 0  # tried again at once
    if n % 25 == 7:
        return 1, 0.2  # published with an ETA: the worker holds it and raises its prefetch count
    return 0, 0


@app.task(bind=True, max_retries=3)
def square(self, n):
    times, delay = failures(n)
    if self.request.retries < times:
        raise self.retry(countdown=delay)
    return [n * n, self.request.retries, self.request.delivery_info['routing_key']]


@app.task
def now():
    return time.time()


@app.task
def turn():
    """How many of these this process has run before."""
    return next(TURNS)
