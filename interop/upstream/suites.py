"""The upstream suites: how each is fetched, and how it is run against one broker.

A suite's fetch(place) puts all it needs from its registry into the directory `place`; its
run(place, url, work) runs it, writing into the directory `work` only, and returns a Results. The
versions are pinned by the files in go/, node/ and python/.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
FETCH_LIMIT_S = 600
SUITE_LIMIT_S = 600
TEST_LIMIT_S = 120


class Results:
    """What became of each test: 'pass', 'fail' or 'skip' by name, and why it failed."""

    def __init__(self):
        self.outcome = {}
        self.why = {}

    def add(self, name, outcome, why=""):
        if outcome == "fail" or name not in self.outcome:
            self.outcome[name] = outcome
            self.why[name] = why

    def count(self, outcome):
        return sum(1 for o in self.outcome.values() if o == outcome)


class CommandFailed(Exception):
    pass


def must(command, **options):
    """Run a command that must succeed; its output is in the exception otherwise."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=FETCH_LIMIT_S, **options)
    if done.returncode != 0:
        raise CommandFailed("%s: status %d\n%s" % (" ".join(command), done.returncode,
                                                   done.stdout[-4000:]))
    return done.stdout


RUNNING = set()
STOPPED = threading.Event()


def stop():
    """End the suites that are running, and start no further one. For a signal handler too."""
    STOPPED.set()
    for process in list(RUNNING):
        end(process)


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def limited(command, log, **options):
    """Run a suite's command with its output in the file `log`; kill its group at the limit."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True, **options)
        RUNNING.add(process)
        try:
            if STOPPED.is_set():
                end(process)
            process.wait(SUITE_LIMIT_S)
        except subprocess.TimeoutExpired:
            out.write("\nended after %d s\n" % SUITE_LIMIT_S)
        finally:
            end(process)
            process.wait()
            RUNNING.discard(process)
    with open(log, encoding="utf-8", errors="replace") as out:
        return out.read()


class Go:
    """The tests of a Go module, built with the module as it is in the module cache.

    Of its test files only those that need a broker are run.
    """

    pins = "go"
    tool = "go"
    result = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(")
    started = re.compile(r"=== RUN\s+(\S+)")
    uuid = re.compile(r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

    def __init__(self, name, package, files, variable, extra=()):
        self.name, self.package, self.files = name, package, files
        self.variable, self.extra = variable, list(extra)

    @staticmethod
    def environment(place, **more):
        return dict(os.environ, GO111MODULE="on", GOFLAGS="-modcacherw", GOWORK="off",
                    GOTOOLCHAIN="local", GOMODCACHE=os.path.join(place, "modules"),
                    GOCACHE=os.path.join(place, "objects"), **more)

    def version(self):
        with open(os.path.join(HERE, "go", "go.mod"), encoding="utf-8") as f:
            required = re.findall(r"^(?:require)?\s*(\S+/\S+) v(\S+)", f.read(), re.M)
        return next(version for module, version in required
                    if (self.package + "/").startswith(module + "/"))

    def fetch(self, place):
        env = self.environment(place)
        module = os.path.join(place, "module")
        shutil.copytree(os.path.join(HERE, "go"), module)
        for suite in SUITES:
            if isinstance(suite, Go):
                must(["go", "test", "-vet=off", "-tags", "integration", "-c", "-o",
                      os.path.join(place, suite.name + ".test"), suite.package],
                     cwd=module, env=env)
        shutil.rmtree(os.path.join(place, "objects"))

    def run(self, place, url, work):
        env = self.environment(place, GOPROXY="off", **{self.variable: url})
        folder = must(["go", "list", "-f", "{{.Dir}}", self.package],
                      cwd=os.path.join(place, "module"), env=env).strip()
        names = []
        for file in self.files:
            with open(os.path.join(folder, file), encoding="utf-8") as f:
                names += re.findall(r"^func (Test\w+)\(t \*testing\.T\)", f.read(), re.M)
        output = limited([os.path.join(place, self.name + ".test"), "-test.v", "-test.count=1",
                          "-test.timeout=%ds" % SUITE_LIMIT_S,
                          "-test.run=^(%s)$" % "|".join(names + self.extra)],
                         os.path.join(work, self.name + ".log"), cwd=folder, env=env)
        return self.parse(output)

    def parse(self, output):
        """Leaves only: a test with subtests is as good as they are. Random names are left out."""
        ended = {name: outcome for outcome, name in self.result.findall(output)}
        seen = dict.fromkeys(self.started.findall(output), "FAIL")
        seen.update(ended)
        parents = {name.rpartition("/")[0] for name in seen if "/" in name}
        results = Results()
        for name, outcome in seen.items():
            if name not in parents or (outcome == "FAIL" and name in ended and not any(
                    seen[n] == "FAIL" for n in seen if n.startswith(name + "/"))):
                results.add(self.uuid.sub("", name), outcome.lower(), self.excerpt(output, name))
        return results

    @staticmethod
    def excerpt(output, name):
        at = output.find("--- FAIL: " + name + " ")
        return output[at:at + 1500] if at >= 0 else output[-1500:]


class Amqplib:
    name = "amqplib"
    pins = "node"
    tool = "npm"
    files = ("channel_api.js", "callback_api.js", "connect.js")
    # No broker is needed for the first two; the third wants one on [::1].
    left_out = "^(Credentials|Errors on connect|Connect API ipv6)"

    def version(self):
        with open(os.path.join(HERE, "node", "package.json"), encoding="utf-8") as f:
            return json.load(f)["dependencies"]["amqplib"]

    def fetch(self, place):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "node", file), place)
        must(["npm", "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"],
             cwd=place)

    def run(self, place, url, work):
        report = os.path.join(work, "amqplib.json")
        tests = os.path.join(place, "node_modules", "amqplib", "test")
        output = limited(
            [os.path.join(place, "node_modules", ".bin", "mocha"), "--exit", "--ui", "tdd",
             "--timeout", str(TEST_LIMIT_S * 1000), "--grep", self.left_out, "--invert",
             "--require", os.path.join(HERE, "node", "default_port.js"),
             "--reporter", "json", "--reporter-option", "output=" + report]
            + [os.path.join(tests, file) for file in self.files],
            os.path.join(work, "amqplib.log"), cwd=work, env=dict(os.environ, URL=url))
        results = Results()
        if not os.path.exists(report):
            results.add("(run)", "fail", output[-1500:])
            return results
        with open(report, encoding="utf-8") as f:
            report = json.load(f)
        for key, outcome in (("passes", "pass"), ("failures", "fail"), ("pending", "skip")):
            for test in report[key]:
                results.add("%s: %s" % (os.path.basename(test["file"]), test["fullTitle"]),
                            outcome, test["err"].get("stack", ""))
        return results


class Python:
    """The tests of a source distribution, run by pytest, without the reruns that some ask for."""

    pins = "python"
    tool = sys.executable

    def __init__(self, name, source, tests, environment):
        self.name, self.source, self.tests = name, source, tests
        self.environment = environment

    def version(self):
        with open(os.path.join(HERE, "python", "sources.txt"), encoding="utf-8") as f:
            return re.search(r"^%s==(\S+)" % self.source, f.read(), re.M).group(1)

    def fetch(self, place):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        pins = os.path.join(HERE, "python")
        must(pip + ["install", "--no-deps", "--only-binary", ":all:", "--no-compile",
                    "--target", os.path.join(place, "libraries"),
                    "-r", os.path.join(pins, "libraries.txt")])
        must(pip + ["download", "--no-deps", "--no-binary", ":all:", "--require-hashes",
                    "--dest", os.path.join(place, "archives"),
                    "-r", os.path.join(pins, "sources.txt")])
        for archive in glob.glob(os.path.join(place, "archives", "*.tar.gz")):
            with tarfile.open(archive) as tar:
                tar.extractall(os.path.join(place, "sources"))

    def run(self, place, url, work):
        host, port = url.rpartition("@")[2].strip("/").split(":")
        tree = os.path.join(place, "sources", "%s-%s" % (self.source, self.version()))
        report = os.path.join(work, self.name + ".xml")
        path = [tree, os.path.join(HERE, "python"), os.path.join(place, "libraries")]
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(path), PYTHONDONTWRITEBYTECODE="1",
                   **self.environment(host, port, url))
        output = limited([sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
                          "-W", "ignore", "--timeout", str(TEST_LIMIT_S), "--junitxml", report]
                         + self.tests, os.path.join(work, self.name + ".log"), cwd=tree, env=env)
        results = Results()
        if not os.path.exists(report):
            results.add("(run)", "fail", output[-1500:])
            return results
        for case in xml.parse(report).iter("testcase"):
            bad = [e for e in case if e.tag in ("failure", "error")]
            outcome = "fail" if bad else "skip" if case.find("skipped") is not None else "pass"
            name = "%s.%s" % (case.get("classname", "").rpartition(".")[2], case.get("name"))
            results.add(name, outcome, (bad[0].text or "")[-1500:] if bad else "")
        return results


def rabbitmq_variables(host, port, _url):
    return {"RABBITMQ_HOST": host, "RABBITMQ_5672_TCP": port}


def amqpstorm_variables(host, port, url):
    return {"UPSTREAM_PORT": port, "AMQP_HOST": host, "AMQP_USERNAME": "guest",
            "AMQP_PASSWORD": "guest", "AMQP_URI": url.rstrip("/") + "/%2F",
            "AMQP_HTTP_URL": "http://management.invalid"}


FUNCTIONAL = "amqpstorm/tests/functional"

SUITES = [
    Go("amqp091-go", "github.com/rabbitmq/amqp091-go", ("integration_test.go",
                                                        "connection_test.go"),
       "AMQP_URL", ["ExampleConnection_reconnect"]),
    Go("watermill-amqp", "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp",
       ("pubsub_test.go",), "WATERMILL_TEST_AMQP_URI"),
    Amqplib(),
    Python("py-amqp", "amqp", ["t/integration/test_rmq.py", "-k", "not tls"],
           rabbitmq_variables),
    Python("kombu", "kombu", ["t/integration/test_py_amqp.py"], rabbitmq_variables),
    Python("amqpstorm", "AMQPStorm",
           ["-p", "amqpstorm_broker", FUNCTIONAL, "--ignore", FUNCTIONAL + "/management",
            "--ignore", FUNCTIONAL + "/ssl", "--ignore", FUNCTIONAL + "/test_web_based.py"],
           amqpstorm_variables),
]
