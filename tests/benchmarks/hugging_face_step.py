"""A peer of pretraining.py: Hugging Face's BertForPreTraining in torch, as its users train it.

The labels are -100 where nothing is masked, so the scores of all words are computed at every
position; AdamW in one fused call, groups with and without decay, and the clipping are those of its
Trainer. Runs in an environment that has torch and transformers.
"""

import os
import sys

# Beside this file is one that bears the name of a package transformers imports.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import numpy as np  # noqa: E402
import step_server  # noqa: E402


def make_step() -> step_server.Step:
    import torch
    from transformers import BertConfig, BertForPreTraining

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(12345)
    model = BertForPreTraining(BertConfig(**step_server.MODEL)).train()
    parameters = dict(model.named_parameters())
    decayed = {name for name in parameters if "bias" not in name and "LayerNorm" not in name}
    groups = [
        {
            "params": [each for name, each in parameters.items() if (name in decayed) is decays],
            "weight_decay": step_server.WEIGHT_DECAY * decays,
        }
        for decays in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=step_server.LEARNING_RATE, eps=1e-6, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate)

    def step(batch: step_server.Batch) -> float:
        labels = np.full(batch["input_ids"].shape, -100, np.int64)
        rows, places = np.nonzero(batch["masked_lm_weights"])
        labels[rows, batch["masked_lm_positions"][rows, places]] = batch["masked_lm_ids"][
            rows, places
        ]
        loss = model(
            input_ids=_tensor(batch["input_ids"]),
            attention_mask=_tensor(batch["input_mask"]),
            token_type_ids=_tensor(batch["segment_ids"]),
            labels=torch.from_numpy(labels),
            next_sentence_label=_tensor(batch["next_sentence_labels"]),
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), step_server.CLIP_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return loss.item()

    def _tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.int64))

    return step


def _rate(step: int) -> float:
    """What share of the learning rate a step has."""
    if step < step_server.WARMUP_STEPS:
        return step / step_server.WARMUP_STEPS
    return max(0.0, 1.0 - step / step_server.TRAIN_STEPS)


if __name__ == "__main__":
    step_server.serve(make_step)
