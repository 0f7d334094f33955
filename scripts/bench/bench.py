"""What the measuring scripts share: a broker as a child process, leveret-perf, /proc, and tables.

Not a program. A script that imports it is run by python3 from any directory.
"""
import argparse
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

READY = re.compile(r"ready: amqp port=(\d+)")
FIGURES = re.compile(r"\] vhost '.*': queues=")
FIGURE = re.compile(r"(\w+)=([\d.]+)")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
MIB = 2**20


# A broker that clears up after a load is at rest when it used little CPU for so long; it is not
# waited for longer than REST_MAX_S.
REST_LOOKS, REST_LOOK_S, REST_CPU, REST_MAX_S = 8, 0.25, 0.2, 30


class BenchError(Exception):
    """A measurement that could not be made; its text says why."""


def process_stat(pid):
    """Fields of /proc/PID/stat, from the third on."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def cpu_s(pid):
    """The CPU all threads of a process have used."""
    fields = process_stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S


def wait_for_rest(pid):
    end, quiet = time.monotonic() + REST_MAX_S, 0
    while quiet < REST_LOOKS and time.monotonic() < end:
        before = cpu_s(pid)
        time.sleep(REST_LOOK_S)
        quiet = quiet + 1 if cpu_s(pid) - before <= REST_CPU * REST_LOOK_S else 0


class Broker:
    """leveretd on a port of its choosing; what it writes is appended to a file beside its
    data directory. `wrapper` is a command that becomes it (valgrind)."""

    def __init__(self, path, data_dir, options=(), wrapper=(), ready_timeout_s=600):
        self.command = [*wrapper, path, "--port", "0", "--bind", "127.0.0.1",
                        "--data-dir", data_dir, *options]
        self.log = data_dir.rstrip("/") + ".log"
        self.ready_timeout_s = ready_timeout_s
        self.process = self.reader = self.port = None
        self.figures = queue.Queue()
        self.ready_at = self.start_s = self.stop_s = 0.0

    def start(self):
        """Starts it; start_s is then the time from the fork to the line that says it is ready."""
        began = time.monotonic()
        self.port = None
        ended = threading.Event()
        try:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True, errors="replace")
        except OSError as error:
            raise BenchError(f"{self.command[0]}: {error.strerror}") from None
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout, ended),
                                       daemon=True)
        self.reader.start()
        if not ended.wait(self.ready_timeout_s) or self.port is None:
            self.kill()
            raise BenchError(f"the broker did not get ready; see {self.log}")
        self.start_s = self.ready_at - began
        return self

    def _read(self, lines, seen):
        with open(self.log, "a", encoding="utf-8") as log:
            for line in lines:
                found = READY.search(line)
                if found:
                    self.ready_at, self.port = time.monotonic(), int(found.group(1))
                    seen.set()
                if FIGURES.search(line):
                    self.figures.put((time.monotonic(), line))
                log.write(line)
                log.flush()
        seen.set()

    @property
    def pid(self):
        return self.process.pid

    @property
    def uri(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    def look(self):
        """What the broker says of its one vhost when asked by SIGUSR1, by name, and when (at_s)."""
        self.process.send_signal(signal.SIGUSR1)
        try:
            at_s, line = self.figures.get(timeout=60)
        except queue.Empty:
            raise BenchError(f"the broker gave no figures; see {self.log}") from None
        return {"at_s": at_s, **{name: float(value) for name, value in FIGURE.findall(line)}}

    def stop(self, timeout_s=600):
        """Stops it by SIGTERM and waits for its end, which must be a clean one."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError("the broker did not stop") from None
        self.stop_s = time.monotonic() - began
        self.reader.join()
        if status != 0:
            raise BenchError(f"the broker ended with status {status}; see {self.log}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None and self.process.poll() is None:
            self.stop()
        self.kill()

    def cpu_s(self):
        return cpu_s(self.pid)

    def rss_bytes(self):
        return int(process_stat(self.pid)[21]) * PAGE

    def rss_peak_bytes(self):
        """The largest it has been since it started."""
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read(), re.MULTILINE)
        if not found:
            raise BenchError("the broker's memory cannot be read")
        return int(found.group(1)) * 1024


class Perf:
    """leveret-perf against one broker."""

    def __init__(self, path, broker):
        self.path, self.broker = path, broker

    def _command(self, args):
        return [self.path, "--json", "--uri", self.broker.uri, "--pid", str(self.broker.pid),
                *str(args).split()]

    def run(self, args, timeout_s=3600):
        """Runs one load to its end and returns its figures."""
        return self.start(args).result(timeout_s)

    def start(self, args):
        """Starts one load; `result` of what this returns waits for it."""
        return Load(self._command(args))


class Load:
    """A running leveret-perf."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def result(self, timeout_s=3600):
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError("leveret-perf took too long") from None
        if self.process.returncode != 0:
            raise BenchError(err.strip() or "leveret-perf failed and gave no reason")
        return json.loads(out)

    def end(self, timeout_s=60):
        """Ends a timed load early and returns its figures."""
        self.process.terminate()
        return self.result(timeout_s)

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Table:
    """Rows of one measurement: plain text as they come, or a JSON object a line."""

    def __init__(self, as_json, columns, widths):
        self.as_json, self.columns, self.widths = as_json, columns, widths
        if not as_json:
            print(self._line(columns), flush=True)

    def row(self, cells, **figures):
        """Prints a row: `cells` for the reader, `figures` for scripts."""
        print(json.dumps(figures) if self.as_json else self._line(cells), flush=True)

    def _line(self, cells):
        parts = [f"{cell:<{width}}" for cell, width in zip(cells, self.widths)]
        return "  ".join(parts).rstrip()


def human(n):
    """A rate in about three digits: 812, 4.9 k, 160 k, 1.05 M."""
    if n >= 999.5e3:
        return f"{n / 1e6:.2f} M"
    if n >= 99.95e3:
        return f"{n / 1e3:.0f} k"
    return f"{n / 1e3:.1f} k" if n >= 1e3 else f"{n:.0f}"


def find_program(given, variable, name):
    """The path of a program: as given, else from the environment, the current directory, PATH."""
    for path in (given, os.environ.get(variable), "./" + name):
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None if given else shutil.which(name)


def parser(doc):
    """A parser with the options every script has."""
    made = argparse.ArgumentParser(description=doc,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--leveretd", help="path of leveretd (else $LEVERETD, ., PATH)")
    made.add_argument("--perf", help="path of leveret-perf (else $LEVERET_PERF, ., PATH)")
    made.add_argument("--option", action="append", default=[], metavar="OPT",
                      help="for leveretd, as --option=--loops=1; may be repeated")
    made.add_argument("--json", action="store_true", help="one JSON object a row, not a table")
    return made


def positive(text):
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text}: must be positive")
    return number


def lone_confirms(perf, queue="leveret-bench-lone"):
    """Starts a publisher of few small persistent messages, each confirmed before the next: what a
    careful application feels while others load the broker. End it with `end`."""
    return perf.start(f"-y 0 --size 64 --persistent --confirm 1 --rate 50 --time 86400 --warmup 0 "
                      f"--queue {queue}")


def lone_text(r):
    return (f"p50 {r['confirm_p50_us'] / 1e3:.1f} ms, p99 {r['confirm_p99_us'] / 1e3:.1f} ms, "
            f"max {r['confirm_max_us'] / 1e3:.1f} ms ({r['confirmed']} confirms)")


def run(options, measure):
    """Finds the programs and calls measure(options, directory) with a directory of its own, removed
    afterwards; a BenchError becomes exit status 1."""
    options.leveretd = find_program(options.leveretd, "LEVERETD", "leveretd")
    options.perf = find_program(options.perf, "LEVERET_PERF", "leveret-perf")
    if not options.leveretd or not options.perf:
        print("leveretd or leveret-perf not found", file=sys.stderr)
        return 2
    parent = getattr(options, "data_dir", None)
    directory = tempfile.mkdtemp(prefix="leveret-bench.", dir=parent)
    try:
        result = measure(options, directory)
    except BenchError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}; {directory} is kept", file=sys.stderr)
        return 1
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory)
    return result or 0
