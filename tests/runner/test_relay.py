"""The rules for redraws, on a clock of the test's own."""

import sys

import pytest
from conftest import RUNNER

sys.path.insert(0, str(RUNNER))

from relay import Relay  # noqa: E402


@pytest.fixture
def written():
    return []


@pytest.fixture
def relay(written):
    return Relay(written.append)


def test_a_bar_that_returns_first(relay, written):
    """As tqdm draws: the text is known to be whole when the next return comes."""
    for step in range(30):
        relay.feed(b"\rstep %d" % step, now=step / 10)
    relay.feed(b"\rstep 30\n", now=3.0)
    assert written == [b"step 0\r\n", b"step 10\r\n", b"step 20\r\n", b"step 30\n"]


def test_a_bar_that_returns_last(relay, written):
    """As print(..., end="\\r") draws: the next line is not the bar's last state."""
    for step in range(30):
        relay.feed(b"step %d\r" % step, now=step / 10)
    relay.feed(b"saved\n", now=3.0)
    assert written == [b"step 0\r\n", b"step 10\r\n", b"step 20\r\n", b"step 29\n", b"saved\n"]


def test_a_bar_that_just_ends(relay, written):
    relay.feed(b"\rone\rtwo\rthree", now=0.0)
    relay.close()
    assert written == [b"one\r\n", b"three"]


def test_a_slow_bar_is_shown_without_waiting_for_its_next_state(relay, written):
    relay.feed(b"\repoch 1", now=0.0)
    relay.tick(now=relay.deadline())
    assert written == [b"epoch 1\r\n"]
    assert relay.deadline() is None
    relay.feed(b"\repoch 2", now=60.0)
    relay.tick(now=relay.deadline())
    assert written == [b"epoch 1\r\n", b"epoch 2\r\n"]


def test_text_and_its_return_may_come_apart(relay, written):
    for step in range(5):
        relay.feed(b"step %d" % step, now=step / 10)
        relay.feed(b"\r", now=step / 10 + 0.001)
    relay.close()
    assert written == [b"step 0\r\n", b"step 4\r\n"]


def test_a_line_end_may_come_apart(relay, written):
    relay.feed(b"plain\r", now=0.0)
    relay.feed(b"\nnext\n", now=0.01)
    assert b"".join(written) == b"plain\nnext\n"


def test_clearing_a_bar_is_no_state(relay, written):
    relay.feed(b"\rone\r   \rplain\n", now=0.0)
    assert written == [b"one\r\n", b"plain\n"]


def test_a_bar_that_stays_cleared_is_not_waited_for(relay, written):
    relay.feed(b"\rone\r   ", now=0.0)
    relay.tick(now=relay.deadline())
    assert relay.deadline() is None
    assert written == [b"one\r\n"]


def test_the_lower_of_two_bars_is_thinned_out_too(relay, written):
    relay.feed(b"\repoch 0", now=0.0)
    for step in range(30):
        relay.feed(b"\n\rstep %d\x1b[A" % step, now=step / 10)
    relay.feed(b"\repoch 1\n", now=3.0)
    assert written == [b"epoch 0\n", b"step 0\r\n", b"step 10\r\n", b"step 20\r\n", b"epoch 1\n"]


def test_a_line_without_an_end_does_not_pile_up(relay, written):
    for _ in range(10):
        relay.feed(b"x" * 50_000, now=0.0)
    relay.close()
    assert b"".join(written) == b"x" * 500_000
    assert len(written) > 3
