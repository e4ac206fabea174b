"""Where a report is written: a folder of its own, below --out."""

from small_data import fails, make_set

from experiments.table1 import __main__ as table1


def test_a_folder_of_other_files_is_not_written_to(tmp_path, capsys):
    data = make_set(tmp_path / "shapes")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "report.html").write_text("mine")
    line = fails(capsys, table1.main, "--data", data, "--out", tmp_path, "--batch", 1, "--name", "mine")
    assert "no report's folder, but with other files (report.html)" in line
    assert (folder / "report.html").read_text() == "mine"
    assert "--name: expected a folder's name" in fails(capsys, table1.main, "--data", data, "--name", "../x")
