"""leveretd as a child process of a test that stops, kills and starts it."""
import os
import re
import signal
import subprocess
import threading

READY = re.compile(rb"ready: amqp port=(\d+)")
PATIENCE_S = 60


class Daemon:
    """leveretd as a child process; what it writes goes to a log file."""

    def __init__(self, path, directory, log):
        self.port, self.log = None, log
        self.changed = threading.Event()
        loops = os.environ.get("LEVERET_TEST_LOOPS")
        more = ["--loops", loops] if loops else []
        self.process = subprocess.Popen([path, "--port", "0", "--data-dir", directory] + more,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with open(self.log, "ab") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                found = READY.search(line)
                if found:
                    self.port = int(found.group(1))
                    self.changed.set()
        self.changed.set()

    def wait_ready(self):
        self.changed.wait(PATIENCE_S)
        if self.port is None:
            self.kill()
            with open(self.log, errors="replace") as log:
                tail = "".join(log.readlines()[-20:])
            raise RuntimeError("leveretd did not get ready; its log ends:\n" + tail)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def terminate(self):
        """Returns the exit status after SIGTERM; None when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        return self._reap()

    def _reap(self):
        status = self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        return status
