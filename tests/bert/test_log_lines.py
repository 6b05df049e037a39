import pytest

from deeq_bert.bert.log_lines import duration, log_line, slow_step_line

MEANS = {
    "loss": 8.5,
    "masked_lm_loss": 7.8,
    "next_sentence_loss": 0.7,
    "learning_rate": 1e-4,
}
FIGURES = {
    "sequences_per_second": 866.04,
    "tokens_per_second": 88_400.0,
    "tflops": 60.5,
    "mfu": 0.194,
    "data_wait_share": 0.004,
    "eta_seconds": 100_000,
}


def test_the_log_line_says_where_how_well_how_fast_and_how_long():
    assert log_line(1200, MEANS, FIGURES) == (
        "step 1200: loss 8.5000 (mlm 7.8000, nsp 0.7000), lr 0.0001, 866.0 sequences/s, "
        "88.4k tokens/s, mfu 19.4%, 27 h 46 min left"
    )


def test_everything_that_is_known_is_in_the_line():
    means = {**MEANS, "gradient_norm": 1.2345, "loss_scale": 32768.0}
    figures = {
        **FIGURES,
        "data_wait_share": 0.031,
        "gpu_memory_bytes": 12.5 * 2**30,
        "cost": 3.214,
        "cost_total": 45.6,
    }

    assert log_line(1200, means, figures) == (
        "step 1200: loss 8.5000 (mlm 7.8000, nsp 0.7000), lr 0.0001, gradient 1.23, loss scale "
        "32768, 866.0 sequences/s, 88.4k tokens/s, mfu 19.4%, 3.1% waiting for records, 12.5 GiB, "
        "27 h 46 min left, cost 3.21 of 45.60"
    )


def test_without_a_known_peak_the_line_has_operations_a_second():
    figures = {name: value for name, value in FIGURES.items() if name != "mfu"}

    assert ", 60.5 TFLOP/s, " in log_line(1200, MEANS, figures)


def test_before_the_speed_is_known_the_line_has_the_cost_so_far():
    line = log_line(1, MEANS, {"seconds_spent": 30.0, "cost": 0.02})

    assert line.endswith("lr 0.0001, cost 0.02")


def test_the_log_line_without_figures_ends_with_the_learning_rate():
    assert log_line(1, MEANS, {}).endswith("lr 0.0001")


@pytest.mark.parametrize(
    ("number", "words"),
    [(870.2, "870"), (999.6, "1k"), (28_150, "28.1k"), (999_600, "1M"), (1_210_000, "1.21M")],
)
def test_tokens_a_second_are_rounded(number, words):
    assert f", {words} tokens/s" in log_line(1, MEANS, {"tokens_per_second": number})


def test_a_slow_step_is_told_with_what_it_waited_for():
    assert slow_step_line(40, 3.17, 0.52, 3.0) == (
        "step 40 took 3.2 s, 6.1 times the usual 0.52 s (waiting for records 3.0 s)"
    )
    assert slow_step_line(40, 31.7, 1.52, 0.0) == ("step 40 took 32 s, 20.9 times the usual 1.5 s")


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
