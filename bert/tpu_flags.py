"""The original's flags about TPUs: known, so that old command lines get a sentence about them."""

from absl import flags, logging

from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError

FLAGS = flags.FLAGS
# Each script's --help then shows them as its own.
flags.disclaim_key_flags()

_REFUSED = ("use_tpu", "tpu_name", "tpu_zone", "gcp_project", "master")
_IDLE = ("num_tpu_cores", "iterations_per_loop")


def define_tpu_flags(idle: tuple[str, ...] = _IDLE) -> None:
    """Defines them.

    Args:
      idle: Those that the original's script has of num_tpu_cores and iterations_per_loop.
    """
    flags.DEFINE_bool("use_tpu", False, "Refused: this program runs on GPUs and CPUs.")
    for name in _REFUSED[1:]:
        flags.DEFINE_string(name, None, "Refused: it is about TPUs.")
    for name, default in zip(_IDLE, (8, 1000)):
        if name in idle:
            flags.DEFINE_integer(name, default, "Has no effect: it is about TPUs.")


def refuse_tpus() -> None:
    """Refuses the flags that ask for a TPU, and warns of those that say something about one.

    Raises:
      InputError: One is given.
    """
    given = [f"--{name}" for name in _REFUSED if FLAGS[name].value]
    if given:
        raise InputError(
            f"{' and '.join(given)}: this program runs on GPUs and CPUs, not on TPUs. Leave TPU "
            "flags out and choose devices with --gpus."
        )
    for name in _IDLE:
        if name in FLAGS and command_line.explicitly_given(name):
            logging.warning("--%s is about TPUs and has no effect.", name)
