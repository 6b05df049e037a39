"""scripts/pretrain_multinode.sh: what each machine is told, and when all are started again."""

import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess

import pytest
from machines_here import Checkout, variables, wait_until, write_programs

from deeq_bert.bert.cluster import Cluster, read_cluster


@pytest.fixture
def programs(tmp_path) -> pathlib.Path:
    """A folder with the stand-ins for ssh and Slurm."""
    write_programs(tmp_path / "programs")
    return tmp_path / "programs"


@pytest.fixture
def checkout(tmp_path, programs, repository):
    checkout = Checkout(tmp_path / "check out", programs, repository)
    yield checkout
    for process in checkout.started:
        # The workers end with the script that started them.
        process.kill()
        process.communicate()


def cluster_of(words: list[str]) -> Cluster:
    """The cluster that a command line with TF_CONFIG in it makes its worker see."""
    (setting,) = (word for word in words if word.startswith("TF_CONFIG="))
    return read_cluster({"TF_CONFIG": setting.partition("=")[2]})


def remote_commands(printed: str) -> dict[str, list[str]]:
    """From the lines of a dry run: the words each machine's shell will see, by its name."""
    lines = [shlex.split(line) for line in printed.splitlines()]
    return {words[-2]: shlex.split(words[-1]) for words in lines}


def test_a_dry_run_shows_every_machines_command_and_runs_none(checkout):
    shown = checkout.run(DRY_RUN=1, HOSTS="gpu1 me@gpu2:23456\n  gpu3", PORT=7000)
    assert shown.returncode == 0, shown.stderr
    workers = ("gpu1:7000", "gpu2:23456", "gpu3:7000")
    commands = remote_commands(shown.stdout)
    assert {host: cluster_of(words) for host, words in commands.items()} == {
        "gpu1": Cluster(workers, 0),
        "me@gpu2": Cluster(workers, 1),
        "gpu3": Cluster(workers, 2),
    }
    assert checkout.calls(0) == []
    assert not (checkout.root / "out put").exists()


def test_arguments_come_last_and_reach_the_worker_unchanged(checkout):
    given = [
        "--input_file=/data/*.tf",
        "--price=12 $HOME `id` \"a\" 'b' \\ !",
        "--path=가나\ttab\nline",
        "--empty=",
    ]
    done = checkout.run(*given, RECORDS="/my records", BERT_CONFIG="c'onfig.json")
    assert done.returncode == 0, done.stdout + done.stderr
    for worker in range(2):
        (call,) = checkout.calls(worker)
        assert call["flags"][:2] == [
            "--bert_config_file=c'onfig.json",
            "--input_file=/my records/train*.tf",
        ]
        assert call["flags"][-len(given) :] == given
        # What is relative to this folder is so everywhere.
        assert call["folder"] == str(checkout.root)
        assert read_cluster({"TF_CONFIG": call["TF_CONFIG"]}).index == worker


def test_what_tunes_the_network_reaches_the_worker(checkout):
    checkout.run(NCCL_SOCKET_IFNAME="eth 1")
    assert checkout.calls(1)[0]["NCCL_SOCKET_IFNAME"] == "eth 1"


def test_the_log_of_each_machine_is_in_a_file_of_its_own(checkout):
    done = checkout.run("--output_dir=elsewhere/out", plan=[[0], [4, 0]])
    assert done.returncode == 0, done.stdout + done.stderr
    log = checkout.root / "elsewhere" / "out" / "logs" / "worker1-gpu2.log"
    assert log.read_text().count("the last words of the log") == 2
    assert str(log.relative_to(checkout.root)) in done.stdout


@pytest.mark.parametrize("loss", [4, "SIGKILL", "SIGSEGV", 255])
def test_a_lost_worker_makes_all_start_again(checkout, loss):
    done = checkout.run(plan=[["train", 0], [loss, 0]])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [len(checkout.calls(worker)) for worker in range(2)] == [2, 2]
    assert checkout.saved(0) == 1
    assert "restart 1 of at most 3" in done.stdout


def test_restarts_come_to_an_end(checkout):
    done = checkout.run(plan=[[4], [4]], MAX_RESTARTS=2)
    assert done.returncode == 4
    assert len(checkout.calls(0)) == 3
    assert "MAX_RESTARTS=2" in done.stderr and "the same command goes on" in done.stderr


@pytest.mark.parametrize("code", [1, 3, 77])
def test_another_exit_code_ends_the_whole_with_it(checkout, code):
    # The others find out that it is gone, and that is no reason to start again.
    done = checkout.run(plan=[[4], [code], ["train"]])
    assert done.returncode == code
    assert len(checkout.calls(1)) == 1
    assert "the last words of the log" in done.stderr


def test_a_worker_that_is_asked_to_stop_is_not_started_again(checkout):
    # Each of them ends by itself, and is not disturbed while it saves.
    done = checkout.run(plan=[[143], [143]])
    assert done.returncode == 143
    assert len(checkout.calls(0)) == 1


@pytest.mark.parametrize("number, code", [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_stops_all_with_sigterm_and_waits_for_them(checkout, number, code):
    process = checkout.start(plan=[["train"], ["train"]])
    checkout.wait_for_training(0, 1)
    process.send_signal(getattr(signal, number))
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert [checkout.saved(worker) for worker in range(2)] == [1, 1]
    assert len(checkout.calls(0)) == 1
    assert "Stopping all workers, with a checkpoint" in stdout


def test_the_end_of_the_script_or_connection_is_the_end_of_the_workers(checkout):
    process = checkout.start(plan=[["train"], ["train"]])
    checkout.wait_for_training(0, 1)
    process.kill()
    wait_until(lambda: checkout.saved(0) and checkout.saved(1))


def test_a_worker_that_does_not_stop_is_killed(checkout):
    done = checkout.run(plan=[["hang", 0], [4, 0]], GRACE_SECONDS=1)
    assert done.returncode == 0, done.stderr
    assert "gpu1 has ended with exit code 137" in done.stdout


def test_a_machine_that_cannot_be_reached_is_named_before_anything_starts(checkout, programs):
    (programs / "gpu2").touch()
    done = checkout.run()
    assert done.returncode == 1
    assert "ERROR: gpu2 cannot be reached" in done.stderr and "no route to gpu2" in done.stderr
    assert checkout.calls(0) == []


@pytest.mark.parametrize(
    "given, said",
    [
        ({"HOSTS": ""}, 'Set HOSTS="gpu1 gpu2", or run this in a Slurm job'),
        ({"HOSTS": " "}, "HOSTS names no machine"),
        ({"HOSTS": "gpu1 -oProxyCommand=x"}, 'HOSTS has "-oProxyCommand=x"'),
        ({"HOSTS": "gpu1,gpu2"}, 'HOSTS has "gpu1,gpu2"'),
        ({"HOSTS": "gpu1 a@gpu1"}, "HOSTS names gpu1:12345 twice"),
        ({"HOSTS": "gpu1:70000"}, "=70000 is not a whole number from 1 to 65535"),
        ({"PORT": "http"}, "PORT=http is not a whole number from 1 to 65535"),
        ({"MAX_RESTARTS": "-1"}, "MAX_RESTARTS=-1 is not a whole number"),
        ({"SLURM_JOB_NODELIST": "n:2", "HOSTS": "gpu1"}, "HOSTS is set inside a Slurm job"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(checkout, given, said):
    done = checkout.run(**given)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: ") and said in done.stderr
    assert checkout.calls(0) == []


NODES = ("node-07:12345", "node-08:12345", "node-11:12345")
BATCH_JOB = {"SLURM_JOB_NODELIST": "nodes:3", "SLURM_PROCID": 0}
STEP = {
    "SLURM_JOB_NODELIST": "nodes:3",
    "SLURM_STEP_NODELIST": "nodes:3",
    "SLURM_STEP_NUM_TASKS": 3,
    "SLURM_STEP_ID": 0,
}


def test_in_a_batch_job_every_node_gets_a_step(checkout):
    shown = checkout.run("--a=b c", DRY_RUN=1, **BATCH_JOB)
    assert shown.returncode == 0, shown.stderr
    lines = [shlex.split(line) for line in shown.stdout.splitlines()]
    nodes = [word for words in lines for word in words if word.startswith("--nodelist=")]
    assert nodes == [f"--nodelist={name}" for name in ("node-07", "node-08", "node-11")]
    clusters = [cluster_of(shlex.split(words[-1])) for words in lines]
    assert clusters == [Cluster(NODES, index) for index in range(3)]
    assert all(shlex.split(words[-1])[-1] == "--a=b c" for words in lines)


def test_a_batch_job_starts_again_as_well(checkout):
    done = checkout.run(plan=[["train", 0], [4, 0], ["train", 0]], **BATCH_JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [len(checkout.calls(worker)) for worker in range(3)] == [2, 2, 2]
    assert (checkout.root / "out put" / "logs" / "worker2-node-11.log").exists()


@pytest.mark.parametrize("task", range(3))
def test_a_task_of_srun_is_the_worker_of_its_number(checkout, task):
    done = checkout.run("--a=b c", plan=[[0], [0], [0]], SLURM_PROCID=task, **STEP)
    assert done.returncode == 0, done.stderr
    (call,) = checkout.calls(task)
    assert read_cluster({"TF_CONFIG": call["TF_CONFIG"]}) == Cluster(NODES, task)
    assert call["flags"][-1] == "--a=b c"


def test_a_task_of_srun_is_the_worker_itself_and_gets_its_signals(checkout):
    process = checkout.start(plan=[["train"]] * 3, SLURM_PROCID=1, **STEP)
    checkout.wait_for_training(1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert checkout.saved(1) == 1


def test_several_tasks_on_a_node_are_refused(checkout):
    done = checkout.run(SLURM_PROCID=4, **(STEP | {"SLURM_STEP_NUM_TASKS": 6}))
    assert done.returncode == 1
    assert "give --ntasks-per-node=1" in done.stderr


def test_an_interactive_job_is_no_task(checkout):
    interactive = {"SLURM_STEP_ID": 4294967290, "SLURM_STEP_NUM_TASKS": 1, "SLURM_PROCID": 0}
    shown = checkout.run(DRY_RUN=1, **(STEP | interactive))
    assert shown.stdout.count("srun ") == 3


def test_the_script_is_clean(repository):
    script = repository / "scripts" / "pretrain_multinode.sh"
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    if shutil.which("shellcheck"):
        checked = subprocess.run(["shellcheck", "-x", script], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout


class RealRun:
    """The script with run_pretraining.py itself, two workers on this machine."""

    def __init__(self, repository, programs, config, records, out):
        self.out = out
        self.script = repository / "scripts" / "pretrain_multinode.sh"
        self.programs, self.config, self.records = programs, config, records
        self.process = None

    def start(self, steps: int) -> subprocess.Popen:
        sockets = [socket.socket() for _ in range(2)]
        for each in sockets:
            each.bind(("localhost", 0))
        hosts = " ".join(f"localhost:{each.getsockname()[1]}" for each in sockets)
        for each in sockets:
            each.close()
        flags = {
            "input_file": self.records,
            "train_batch_size": 8,
            "eval_batch_size": 8,
            "max_eval_steps": 2,
            "num_train_steps": steps,
            "num_warmup_steps": 2,
            "save_checkpoints_steps": 10,
            "log_steps": 5,
            "gpus": 0,
        }
        given = {"HOSTS": hosts, "OUTPUT_DIR": self.out, "BERT_CONFIG": self.config}
        self.process = subprocess.Popen(
            ["bash", self.script, *(f"--{name}={value}" for name, value in flags.items())],
            env=variables(self.programs, given),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def end(self) -> str:
        """Waits for the end of the script; returns what it and its workers said."""
        said = self.process.communicate(timeout=180)[0]
        return said + "".join(path.read_text() for path in sorted((self.out / "logs").iterdir()))

    def wait_for_checkpoint(self, after: int) -> None:
        wait_until(lambda: self.step() > after or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.end()

    def step(self) -> int:
        """The step of the last checkpoint."""
        steps = [path.stem.rpartition("-")[2] for path in self.out.glob("model.ckpt-*.index")]
        return max(map(int, steps), default=0)

    def worker(self, index: int) -> int:
        """The process of the worker of this number."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command, environment = (
                    (process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ")
                )
            except OSError:
                continue
            task = b'"index": %d}}' % index
            if (
                os.fsencode(self.script.parent.parent / "bert" / "run_pretraining.py") in command
                and b"--output_dir=%b" % os.fsencode(self.out) in command
                and any(
                    word.startswith(b"TF_CONFIG=") and word.endswith(task) for word in environment
                )
            ):
                return int(process.name)
        raise AssertionError(f"there is no worker {index}")


@pytest.fixture
def real_run(repository, programs, tiny_config, sample_records, tmp_path):
    run = RealRun(repository, programs, tiny_config, sample_records, tmp_path / "my out")
    yield run
    run.process.kill()
    run.process.communicate()


@pytest.mark.slow
def test_two_workers_train_and_evaluate_to_the_end(real_run):
    real_run.start(steps=20)
    said = real_run.end()
    assert real_run.process.returncode == 0, said
    assert real_run.step() == 20
    assert "masked_lm_loss" in (real_run.out / "eval_results.txt").read_text()


@pytest.mark.slow
def test_after_a_worker_is_killed_the_run_goes_on(real_run):
    real_run.start(steps=200)
    real_run.wait_for_checkpoint(after=0)
    os.kill(real_run.worker(1), signal.SIGKILL)
    said = real_run.end()
    assert real_run.process.returncode == 0, said
    assert "restart 1 of at most 3" in said
    assert said.count("Going on from") >= 1
    assert real_run.step() == 200


@pytest.mark.slow
def test_sigterm_saves_and_leaves_with_143(real_run):
    real_run.start(steps=100_000)
    real_run.wait_for_checkpoint(after=0)
    real_run.process.send_signal(signal.SIGTERM)
    said = real_run.end()
    assert real_run.process.returncode == 143, said
    assert "stopping after this step, with a checkpoint" in said
    # Where it stopped, and not at the last multiple of save_checkpoints_steps only.
    assert f"model.ckpt-{real_run.step()}" in said
