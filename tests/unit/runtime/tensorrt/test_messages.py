from __future__ import annotations

import logging

import pytest

from facealign.runtime.tensorrt.messages import Messages
from tests.doubles.tensorrt import TensorrtDouble


@pytest.fixture
def double() -> TensorrtDouble:
    return TensorrtDouble()


@pytest.fixture
def messages(double: TensorrtDouble) -> Messages:
    return Messages(double.module)


def test_failure_prefers_the_recorder_to_the_log(
    double: TensorrtDouble, messages: Messages
) -> None:
    messages.logger.log(double.module.ILogger.ERROR, "[x.cpp::f::1] Error Code 3: too\n large")
    messages.recorder.report_error(double.module.ErrorCodeTRT.INVALID_ARGUMENT, "too\n large")

    assert str(messages.failure("run")) == "TensorRT cannot run: INVALID_ARGUMENT: too large"


def test_failure_takes_the_log_where_nothing_was_recorded(
    double: TensorrtDouble, messages: Messages
) -> None:
    messages.logger.log(double.module.ILogger.INTERNAL_ERROR, "no memory")

    assert str(messages.failure("run")) == "TensorRT cannot run: no memory"


def test_failure_takes_the_exception_where_nothing_was_said(messages: Messages) -> None:
    error = messages.failure("run", cause=TypeError("factory function\nreturned nullptr"))

    assert str(error) == "TensorRT cannot run: factory function returned nullptr"


def test_failure_says_when_there_are_no_words(messages: Messages) -> None:
    assert str(messages.failure("run")) == "TensorRT cannot run: it does not say why"


def test_take_forgets_what_it_gave(double: TensorrtDouble, messages: Messages) -> None:
    messages.recorder.report_error(double.module.ErrorCodeTRT.INVALID_STATE, "old")

    assert (messages.take(), messages.take()) == ("INVALID_STATE: old", "")


def test_recorder_keeps_the_last_words_only(double: TensorrtDouble, messages: Messages) -> None:
    code = double.module.ErrorCodeTRT.INVALID_STATE

    answers = {messages.recorder.report_error(code, str(number)) for number in range(100)}

    assert answers == {False}
    assert (messages.recorder.num_errors(), messages.recorder.has_overflowed()) == (16, True)
    assert messages.recorder.get_error_desc(15) == "INVALID_STATE: 99"


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("INTERNAL_ERROR", logging.INFO),
        ("ERROR", logging.INFO),
        ("WARNING", logging.INFO),
        ("INFO", logging.DEBUG),
    ],
)
def test_logger_hands_words_to_the_log(
    double: TensorrtDouble,
    messages: Messages,
    caplog: pytest.LogCaptureFixture,
    severity: str,
    level: int,
) -> None:
    with caplog.at_level(logging.DEBUG):
        messages.logger.log(getattr(double.module.ILogger, severity), "words")

    assert [(record.levelno, record.message) for record in caplog.records] == [(level, "words")]


def test_logger_drops_verbose_words(
    double: TensorrtDouble, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        messages.logger.log(double.module.ILogger.VERBOSE, "a tactic")

    assert caplog.records == []
