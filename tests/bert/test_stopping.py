import os
import signal

import pytest

from deeq_bert.bert.stopping import StopRequest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_with_its_exit_code(number, code):
    with StopRequest() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), number)

        assert stop.requested()
        assert stop.exit_code == code


def test_a_second_signal_has_its_usual_effect():
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_outside_it_signals_have_their_usual_effect():
    before = signal.getsignal(signal.SIGTERM)

    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before
