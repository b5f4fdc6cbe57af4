"""The command line of the export."""

import pytest

from export_scripts.arguments import argument_parser, engine_options, parse_arguments
from export_scripts.judge_engine import EngineOptions

DEMO = ["--source", "demo"]


def test_the_judge_is_for_a_cpu_unless_told_otherwise() -> None:
    assert engine_options(parse_arguments(DEMO)) == EngineOptions()


def test_every_option_of_the_engine_arrives() -> None:
    options = parse_arguments(
        [
            *(*DEMO, "--judge-target", "gpu", "--judge-dtype", "bfloat16", "--judge-quantization", "fp8"),
            *("--judge-gpu-memory-utilization", "0.4", "--tensor-parallel-size", "2"),
        ]
    )
    assert engine_options(options) == EngineOptions("gpu", "bfloat16", "fp8", 2, 0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--judge-quantization", "fp8"], "--judge-quantization needs --judge-target gpu"),
        (
            ["--judge-gpu-memory-utilization", "0.4"],
            "--judge-gpu-memory-utilization needs --judge-target gpu",
        ),
        (["--judge-target", "gpu", "--judge-gpu-memory-utilization", "1.2"], "invalid share value: '1.2'"),
        (["--judge-target", "gpu", "--judge-gpu-memory-utilization", "0"], "invalid share value: '0'"),
        (["--judge-target", "gpu", "--judge-quantization", "int3"], "invalid choice: 'int3'"),
        (["--tensor-parallel-size", "0"], "invalid positive value: '0'"),
        (["--judge-base", "a/b"], "--judge-base needs --judge-adapter"),
        (["--judge-adapter", "a/b", "--models", "aegis"], "--judge-adapter needs the judge among --models"),
        (["--revision", "nothing=main"], "'nothing=main' is not MODEL=REV"),
    ],
)
def test_conflicting_options_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments([*DEMO, *arguments])
    assert message in capsys.readouterr().err


def test_the_help_tells_each_default() -> None:
    options = [action for action in argument_parser()._actions if "--help" not in action.option_strings]
    assert [action.dest for action in options if "default:" not in (action.help or "")] == ["source"]
    assert [action.dest for action in options if action.required] == ["source"]
    argument_parser().format_help()
