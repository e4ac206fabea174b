"""What tests of the whole command share."""

import pytest
from small_data import make_set

from experiments.table1 import jobs, measurements


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 12), ("val", 2), ("test", 3)], size=(40, 50))


@pytest.fixture
def idle(monkeypatch):
    """Nothing is run or measured: what is left are the options and their files."""
    monkeypatch.setattr(jobs, "run_jobs", lambda *_, **__: None)
    monkeypatch.setattr(measurements, "measure", lambda *_: None)
