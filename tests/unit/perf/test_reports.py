"""The command line, and the reports on the committed samples."""

import shutil
from pathlib import Path

import pytest

from perf import plot
from perf.__main__ import COMMANDS, command_line
from perf.growth.memory import Memory, memory_table
from perf.growth.sweep import sweep_table
from perf.load.perf_analyzer import read_report
from perf.load.rounds import BATCH_LOAD, LATENCY_LOAD, THROUGHPUT_LOAD, decode_figures
from perf.load.tally import Tally
from perf.paths import RESULTS_FOLDER
from perf.robustness.soak.soak import Observations, describe, exit_status, soak_table
from perf.samples import read_samples, write_samples
from perf.speed.compare import comparison_table
from perf.speed.scan import scan_table


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_defaults(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command_line().parse_args([command, "--help"])
    assert "(default:" in capsys.readouterr().out


def test_the_plots_read_the_committed_samples(tmp_path: Path) -> None:
    for name in plot.PLOTS:
        shutil.copy(RESULTS_FOLDER / f"{name}.json", tmp_path)
    plot.main(tmp_path)
    assert {image.stem for image in tmp_path.glob("*.png")} == set(plot.PLOTS)


def test_tables_of_the_committed_samples_have_a_row_for_each_measurement() -> None:
    compared = decode_figures(read_samples(RESULTS_FOLDER / "compare.json")["figures"])
    for load, names in ((LATENCY_LOAD, 5), (THROUGHPUT_LOAD, 10), (BATCH_LOAD, 4)):
        assert comparison_table(compared, load).row_count == names
    assert scan_table(read_samples(RESULTS_FOLDER / "scan.json")["samples"]).row_count == 5
    memory = read_samples(RESULTS_FOLDER / "memory.json")
    del memory["hardware"]
    assert memory_table(Memory(**memory)).row_count == 3
    for sample in read_samples(RESULTS_FOLDER / "sweep.json")["sweeps"]:
        assert sweep_table(sample).row_count == len(sample["rows"])


def test_a_soak_fails_with_a_lost_request_a_wrong_answer_or_no_recovery() -> None:
    recovered = Observations({"a fault": 2.0}, [100.0, 101.0], restarts=0)
    assert exit_status(Tally(sent=1, answered=1), recovered) == 0
    assert exit_status(Tally(sent=1), recovered) == 1
    assert exit_status(Tally(sent=1, answered=1, wrong=["a text"]), recovered) == 1
    assert exit_status(Tally(), Observations({"a fault": None}, [], restarts=0)) == 1


def test_the_soak_prints_a_row_for_each_entry_of_its_report() -> None:
    observations = Observations({"a fault": 2.0}, [100.0, 101.0], restarts=0)
    assert soak_table(Tally(), observations).row_count == len(describe(Tally(), observations)) == 11


def test_samples_are_written_with_their_origin(tmp_path: Path) -> None:
    output = tmp_path / "folder" / "samples.json"
    write_samples(output, {"start_s": [1.0]}, raw={"latencies_ms": [5.0]})
    assert read_samples(output.with_suffix(".samples.json")) == {"latencies_ms": [5.0]}
    samples = read_samples(output)
    assert samples["start_s"] == [1.0]
    assert samples["hardware"]["cores"] > 0
    assert samples["packages"].keys() >= {"onnxruntime", "tritonclient"}
    assert samples["commit"] is None or len(samples["commit"].removesuffix("-dirty")) == 40


def test_a_report_of_perf_analyzer_is_read_by_column(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("Concurrency,Inferences/Second,Client Send\n8,17.5,\n", "utf-8")
    assert read_report(report) == [{"Concurrency": 8.0, "Inferences/Second": 17.5}]
