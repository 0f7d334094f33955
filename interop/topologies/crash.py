"""The retry topology on a daemon that is killed again and again.

What the clients may rely on: a message that was confirmed is worked on until an acknowledgement; what
was not settled durably comes again, with an x-death that was true of it at some time. So messages may
be worked on twice here, but none is lost, and none claims a death that no consumer caused.
"""
import collections

import pika

from retry import RETRIES, Retry, failures
from topology import WAIT_S, Failed, Place, Publisher, same

KILLS = 5             # while consuming
SETTLE_S = 2          # without a message for so long, queues are looked at


class Crash:
    def __init__(self, victim, count):
        self.victim, self.count = victim, count
        self.rejects, self.done, self.deliveries = collections.Counter(), set(), 0
        self.place = Place(victim.uri)
        self.work = Retry(self.place)
        # What goes round without a crash, in portions.
        rounds = sum(1 + (RETRIES if failures(n) is None else failures(n)) for n in range(count))
        self.kill_at = [rounds * k // (KILLS + 1) for k in range(KILLS, 0, -1)]

    def publish(self):
        """Every message until it is confirmed, with a kill on the way."""
        kill_at = self.count // 3

        def on_confirm(confirmed):
            if not self.victim.kills and confirmed >= kill_at:
                self.victim.kill()

        left = range(self.count)
        while left:
            left = Publisher(self.victim.uri, self.work.exchange, "job", left, on_confirm).run()
            if left:
                self.start()
        same("kills while publishing", self.victim.kills, 1)

    def start(self):
        self.victim.start()
        self.place = self.work.place = self.place.again(self.victim.uri)

    def handle(self, method, properties, n):
        times = self.work.times(method, properties, n)
        if times > self.rejects[n]:
            raise Failed("%d says it failed %d times, not %d" % (n, times, self.rejects[n]))
        self.deliveries += 1
        if self.work.finish(method, properties, n, times):
            self.done.add(n)
        else:
            self.rejects[n] += 1

    def consume(self):
        """Until the daemon is killed (False), or nothing is left (True)."""
        channel = self.place.channel
        channel.confirm_delivery()  # what is parked must be safe before it is acknowledged
        channel.basic_qos(prefetch_count=200)
        silence = 0
        for method, properties, body in channel.consume(self.work.work,
                                                        inactivity_timeout=SETTLE_S):
            if method is None:
                silence += SETTLE_S
                if self.work.left_over() == (0, 0):
                    break
                if silence > WAIT_S:
                    raise Failed("no delivery for %d s" % WAIT_S)
                continue
            silence = 0
            self.handle(method, properties, int(body))
            if self.kill_at and self.deliveries >= self.kill_at[-1]:
                self.kill_at.pop()
                self.victim.kill()
        channel.cancel()
        return True

    def consume_all(self):
        while True:
            try:
                if self.consume():
                    return
            except pika.exceptions.AMQPError:
                if self.victim.daemon.process.returncode is None:
                    raise  # it was not killed
                self.start()

    def check(self):
        same("not worked on", sorted(set(range(self.count)) - self.done), [])
        parked = sorted({n for _, n in self.place.drain(self.work.parked)})
        same("parked", parked, self.work.to_park(self.count))
        same("kills", self.victim.kills, 1 + KILLS)


def run(victim, count):
    crash = Crash(victim, count)
    crash.publish()
    crash.consume_all()
    crash.check()
    crash.place.close()
    return ", %d kills, %d deliveries" % (victim.kills, crash.deliveries)
