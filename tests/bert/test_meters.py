import time

import pytest
import tensorflow as tf

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.meters import (
    EventWriter,
    Throughput,
    duration,
    log_line,
    training_flops_per_sequence,
)

LOSSES = {
    "loss": 8.5,
    "masked_lm_loss": 7.8,
    "next_sentence_loss": 0.7,
    "learning_rate": 1e-4,
}


def test_flops_of_bert_base_agree_with_six_per_weight_and_token():
    config = BertConfig(vocab_size=32000, type_vocab_size=2)
    encoder_weights = 12 * (4 * 768**2 + 2 * 768 * 3072)

    flops = training_flops_per_sequence(config, 128, 20)

    # Attention scores and the heads come on top of the encoder's weights.
    assert 1.0 < flops / (6 * encoder_weights * 128) < 1.08


def test_flops_of_attention_grow_with_the_square_of_the_length():
    config = BertConfig(vocab_size=100, hidden_size=64, num_attention_heads=2)
    lengths = (128, 256, 512)
    short, middle, long = (training_flops_per_sequence(config, length, 0) for length in lengths)

    # Without the part linear in the length: f(4n) - 4 f(n) = 12 a n^2, f(2n) - 2 f(n) = 2 a n^2.
    heads = 6 * 64 * 66
    assert (long - heads) - 4 * (short - heads) == pytest.approx(
        6 * ((middle - heads) - 2 * (short - heads))
    )


def test_throughput_leaves_out_the_first_step_and_what_is_excluded():
    throughput = Throughput(1e9, global_batch=32, replicas=2, peak_tflops=1.0)
    throughput.count_step()
    assert throughput.report(100) == {}
    time.sleep(0.05)
    for _ in range(4):
        throughput.count_step()
    throughput.exclude(0.03)

    figures = throughput.report(steps_left=100)

    seconds = 4 / figures["steps_per_second"]
    assert seconds >= 0.02
    assert figures["sequences_per_second"] == pytest.approx(32 * figures["steps_per_second"])
    assert figures["tflops"] == pytest.approx(figures["sequences_per_second"] * 1e9 / 2 / 1e12)
    assert figures["mfu"] == pytest.approx(figures["tflops"])
    assert figures["eta_seconds"] == pytest.approx(25 * seconds)
    assert throughput.report(100) == {}


def test_without_a_peak_there_is_no_mfu():
    throughput = Throughput(1e9, global_batch=32, replicas=1)
    throughput.count_step()
    throughput.count_step()

    assert "mfu" not in throughput.report(1)


def test_the_log_line_says_where_how_well_how_fast_and_how_long():
    figures = {
        "sequences_per_second": 866.04,
        "tflops": 60.5,
        "mfu": 0.194,
        "eta_seconds": 100_000,
    }

    assert log_line(1200, LOSSES, figures) == (
        "step 1200: loss 8.5000 (mlm 7.8000, nsp 0.7000), lr 0.0001, 866.0 sequences/s, "
        "mfu 19.4%, 27 h 46 min left"
    )
    del figures["mfu"]
    assert ", 60.5 TFLOP/s, " in log_line(1200, LOSSES, figures)


def test_the_log_line_without_figures_ends_with_the_learning_rate():
    assert log_line(1, LOSSES, {}).endswith("lr 0.0001")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (600, "10 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (86400 * 30 + 7200, "30 d 2 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_events_are_scalars_that_tensorboard_shows(tmp_path):
    EventWriter(str(tmp_path)).write(7, {"loss": 1.5})

    (path,) = tmp_path.glob("events.out.tfevents.*")
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    (value,) = [value for event in events for value in event.summary.value]
    assert (events[-1].step, value.tag, tf.make_ndarray(value.tensor)) == (7, "loss", 1.5)
    assert value.metadata.plugin_data.plugin_name == "scalars"
