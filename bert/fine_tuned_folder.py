"""What fine-tuning leaves in its folder: checkpoints, and the best weights in a folder `best`."""

import os
import shutil

from deeq_bert.bert import model_folder
from deeq_bert.bert.init_checkpoint import find_prefix


def has_checkpoint(folder: str) -> bool:
    """Whether training can go on from a checkpoint."""
    return bool(model_folder.list_checkpoints(folder))


def weights_to_use(folder: str) -> str | None:
    """Returns the prefix of the best weights, of the last ones where none were chosen, or None."""
    for place in (os.path.join(folder, model_folder.BEST_FOLDER), folder):
        if os.path.isfile(os.path.join(place, "checkpoint")):
            return find_prefix(place)
    return None


def remove_model(folder: str) -> None:
    """Removes all checkpoints; results and logs stay."""
    for name in os.listdir(folder):
        if name == "checkpoint" or name.startswith("model.ckpt-"):
            os.remove(os.path.join(folder, name))
    shutil.rmtree(os.path.join(folder, model_folder.BEST_FOLDER), ignore_errors=True)
