"""Server processes that answer one line with one line (bench/drivers/serve.h), and their memory."""
import json
import os
import select
import subprocess
import sys
import time


class Failed(Exception):
    """An error for users, on one line."""


def run(*command, **options):
    """The output of a command, which must succeed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(f"{command[0]}: exit code {done.returncode}: {lines[-1] if lines else 'no message'}")
    return done.stdout


class Server:
    """A driver with a loaded model. `hello` is its first line. A variable of `env` that is None is removed."""

    def __init__(self, command, env=None, limit=600, greets=True):
        self.command, self.limit = [str(c) for c in command], limit
        env = {k: v for k, v in {**os.environ, **(env or {})}.items() if v is not None}
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=env, text=True, bufsize=1)
        self.hello = self.read() if greets else {}

    def read(self):
        ready, _, _ = select.select([self.process.stdout], [], [], self.limit)
        if not ready:
            self.close()
            raise Failed(f"{self.command[0]}: no answer within {self.limit} s")
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            lines = self.process.stderr.read().strip().splitlines()
            raise Failed(f"{os.path.basename(self.command[0])}: exit code {code}: {lines[-1] if lines else 'no message'}")
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(f"{os.path.basename(self.command[0])}: {reply['error']}")
        return reply

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # read() says how it ended
        return self.read()

    def largest_resident(self):
        """The largest resident memory of the process so far, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise Failed("/proc has no VmHWM")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class BusyLoop:
    """Processes that compute endlessly: one runs on the last core, several run on any core."""

    def __init__(self, count=1):
        self.count, self.processes = count, []

    def __enter__(self):
        pinned = f"import os\nos.sched_setaffinity(0, {{{max(os.sched_getaffinity(0))}}})\n" if self.count == 1 else ""
        self.processes = [subprocess.Popen([sys.executable, "-c", pinned + "while True: pass"]) for _ in range(self.count)]
        if self.processes:
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
