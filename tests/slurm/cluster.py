"""A real SLURM cluster on this machine, for the tests: Debian's daemons on loopback, fake nodes.

Two GPU nodes (g1, g2) with eight GPUs each and two CPU nodes (c1, c2), all of them this machine:
slurmd may carry any number of node names on one host. What the nodes claim to have is invented;
scheduling, limits, signals, requeueing and failures are SLURM's own. Everything lies in one folder,
with its own munge key and ports; nothing in /etc is read, any user may run it.

    python tests/slurm/cluster.py       a shell on such a cluster, gone when the shell ends
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster_files import CONFIGURATION, RECORD, SHIM

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PATHS = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
)
GPU_NODES, CPU_NODES, GPUS = ("g1", "g2"), ("c1", "c2"), 8
NODE_CPUS, NODE_MB = 64, 640_000


def missing() -> list[str]:
    """The programs of Debian's slurm-wlm and munge that this machine lacks."""
    return [name for name in NEEDED if shutil.which(name, path=PATHS) is None]


def until(true: Callable[[], object], seconds: float, what: str):
    """What `true` gives, as soon as it gives something; TimeoutError naming `what` otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


class Cluster:
    """Its daemons, and what a test does to them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.calls = folder / "sbatch.calls"
        self.moved = folder / "moved"
        self._daemons: dict[str, subprocess.Popen] = {}
        folder.chmod(0o755)  # munged refuses a socket that others cannot reach
        (folder / "bin").mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        self.environment = kept | {
            "SLURM_CONF": str(self.conf),
            "PATH": f"{folder / 'bin'}{os.pathsep}{PATHS}",
        }

    # up and down

    def start(self) -> None:
        self._configure()
        self._daemon(
            "munged", "--foreground", f"--key-file={self.folder}/munge.key",
            f"--socket={self.folder}/munge.sock", f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed",
        )  # fmt: skip
        until((self.folder / "munge.sock").exists, 10, "munged")
        self.start_controller()
        for node in (*GPU_NODES, *CPU_NODES):
            self.start_node(node)
        self.wait_for_nodes()

    def stop(self) -> None:
        """End every job, daemon and whatever they left behind."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("scancel", "--full", "--signal=KILL", "--user", str(os.getuid()), timeout=5)
            self.run("scancel", "--user", str(os.getuid()), timeout=5)
            until(lambda: not self.run("squeue", "-h", timeout=5), 5, "jobs to end")
        for name in list(self._daemons)[::-1]:
            self.kill(name, signal.SIGTERM)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(), 5, "the cluster's processes to end")

    def processes(self, *jobs: str) -> list[int]:
        """Processes of the cluster (its folder in environment or command), or of these jobs."""
        found, mark = [], str(self.folder).encode()
        marks = [
            (f"SLURM_JOB_ID={job}\0".encode(), f"slurmstepd: [{job}.".encode()) for job in jobs
        ]
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes()
                of_job = any(of in environment or step in command for of, step in marks)
                of_cluster = mark in environment + command and int(entry.name) != os.getpid()
                if of_cluster and (of_job or not jobs):
                    found.append(int(entry.name))
        return found

    def start_controller(self) -> None:
        self._daemon("slurmctld", "-D")
        until(lambda: "is UP" in self.run("scontrol", "ping", check=False), 20, "slurmctld")

    def start_node(self, node: str) -> None:
        self._daemon(node, "-D", "-N", node, program="slurmd")

    def wait_for_nodes(self, seconds: float = 30) -> None:
        """Until every node is up."""
        nodes = len(GPU_NODES) + len(CPU_NODES)
        up = ("idle", "mixed", "allocated", "completing")

        def ready() -> bool:
            states = self.run("sinfo", "-h", "-N", "-o", "%T").split()
            return sum(state in up for state in states) == nodes

        until(ready, seconds, "nodes")

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a daemon (`slurmctld`, `munged` or a node's name) and wait until it has ended."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def lose(self, node: str) -> None:
        """As when a node loses its power: its slurmd and all that ran on it are gone at once."""
        jobs = self.run("squeue", "-h", "-w", node, "-o", "%A").split()
        self.kill(node)
        for pid in self.processes(*jobs) if jobs else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_now(self, job: str) -> None:
        """Spare a requeued job the two minutes that SLURM lets it wait.

        They are there for a reason: the end of the old start, reported late, would end the new one
        as failed. So what the old start left must be gone.
        """
        waits = ("squeue", "-h", "-j", job, "-o", "%T %r")
        until(lambda: "BeginTime" in self.run(*waits), 60, f"job {job} to be requeued")
        until(lambda: not self.processes(job), 60, f"job {job}'s old processes to end")
        until(lambda: "PENDING" in self.run(*waits), 60, f"job {job} to wait")
        self.run("scontrol", "update", f"job={job}", "StartTime=now")

    # what a test asks

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    def jobs(self, *states: str) -> dict[str, str]:
        """Job id → comment (the rule and its wildcards) of the jobs in these states, or in all."""
        chosen = ["-t", ",".join(states)] if states else []
        lines = self.run("squeue", "-h", "-o", "%A %k", *chosen).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def state(self, job: str) -> str:
        return self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()

    def submissions(self) -> list[str]:
        """The arguments of each sbatch call so far, a line each."""
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []

    # how it is made

    def _configure(self) -> None:
        folder = self.folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for index in range(GPUS):  # a character device, as a GPU's file is
            (folder / f"gpu{index}").symlink_to("/dev/null")
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        ports = _free_ports(1 + len(GPU_NODES) + len(CPU_NODES))
        host, user = socket.gethostname().split(".")[0], _user()
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={NODE_CPUS} "
            f"RealMemory={NODE_MB}" + (f" Gres=gpu:a100:{GPUS}" if node in GPU_NODES else "")
            for node, port in zip((*GPU_NODES, *CPU_NODES), ports[1:], strict=True)
        )
        (folder / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName={','.join(GPU_NODES)} Name=gpu Type=a100 "
            f"Flags=nvidia_gpu_env File={folder}/gpu[0-{GPUS - 1}]\n"
        )
        (folder / "plugstack.conf").touch()
        self.conf.write_text(
            CONFIGURATION.format(
                folder=folder, host=host, user=user, port=ports[0], nodes=nodes,
                gpu_nodes=",".join(GPU_NODES), cpu_nodes=",".join(CPU_NODES),
            )
        )  # fmt: skip
        for name, extra in (("srun", ""), ("sbatch", RECORD.format(folder=folder))):
            shim = folder / "bin" / name
            program = shutil.which(name, path=PATHS)
            shim.write_text(SHIM.format(conf=self.conf, program=program, extra=extra))
            shim.chmod(0o755)

    def _daemon(self, name: str, *arguments: str, program: str | None = None) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [shutil.which(program or name, path=PATHS), *arguments],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.folder,
            )  # fmt: skip


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster; afterwards none of its processes is left, and its logs are gone."""
    # a short path: a socket's name may have 107 characters
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        made = Cluster(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


if __name__ == "__main__":
    with cluster() as made:
        print(made.run("sinfo", "-N", "-o", "%N %P %T %c %m %G"))
        subprocess.run([os.environ.get("SHELL", "sh"), *sys.argv[1:]], env=made.environment)
