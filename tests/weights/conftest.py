"""A guard for all tests of weight files: what takes minutes on files of kilobytes would take for ever."""

import faulthandler

import pytest


@pytest.fixture(autouse=True)
def no_hang():
    """End the process, and say where it was, after five minutes: even within a function written in C."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
