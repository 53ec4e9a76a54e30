"""What the command says of wrong command lines, and of output that cannot be written."""

import subprocess

import pytest
from conftest import command_path

DONE, FAILED, USAGE = 0, 1, 2


def message(result, code=USAGE):
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith("dwindle: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("dwindle: error: ")


@pytest.mark.parametrize(
    ("arguments", "unknown", "nearest"),
    [
        # Its value passes for a positional argument, or a required flag is missing for want of it.
        (["quantize", "--calib-metod", "mse", "a", "b"], "--calib-metod", "--calib-method"),
        (["quantize", "a", "b", "--calib-metod=mse"], "--calib-metod", "--calib-method"),
        (["quantize", "a", "b", "--colib", "d"], "--colib", "--calib"),
        (["compare", "a", "b", "--dat", "d"], "--dat", "--data"),
        (["inspect", "a", "-json"], "-json", "--json"),
        (["simplify", "a", "b", "--nocheck"], "--nocheck", "--no-check"),
        (["quantize", "a", "b", "--no-correct-bais"], "--no-correct-bais", "--no-correct-bias"),
        (["--thread", "2", "inspect", "a"], "--thread", "--threads"),
    ],
)
def test_unknown_flags_are_named_with_the_nearest(dwindle_command, arguments, unknown, nearest):
    text = message(dwindle_command(*arguments))
    assert text.startswith(f"{unknown}: no such option; did you mean '{nearest}'")


def test_unknown_verbs_are_named_with_the_nearest(dwindle_command):
    text = message(dwindle_command("quantise", "a", "b", "--calib", "d"))
    assert text.startswith("quantise: no such verb; did you mean 'quantize'?")


@pytest.mark.parametrize("arguments", [["inspect", "a", "--frobnicate"], ["frobnicate"]])
def test_where_nothing_is_near_nothing_is_proposed(dwindle_command, arguments):
    text = message(dwindle_command(*arguments))
    assert text.startswith(f"{arguments[-1]}: no such ")
    assert "did you mean" not in text and "--help" in text


def test_options_before_the_verb(dwindle_command):
    assert "--threads goes before the verb inspect" in message(
        dwindle_command("inspect", "a", "--threads", "2")
    )


@pytest.mark.parametrize("batch", ["0", "-1", "1000000000", "x"])
def test_batch_names_its_range(dwindle_command, batch):
    text = message(dwindle_command("compare", "a", "b", "--data", "d", "--batch", batch))
    assert "--batch" in text and len(text) < 120
    assert "1 to 65536" in text or batch == "x"


@pytest.mark.parametrize(
    "arguments", [["passes"], ["passes", "--json"], ["passes", "--markdown"], ["--help"], ["MODEL"]]
)
def test_full_standard_output_is_said(classifier_path, arguments):
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")
    if arguments == ["MODEL"]:
        arguments = ["inspect", str(classifier_path)]
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    text = message(result, FAILED)
    assert text == "standard output could not be written: No space left on device\n"


def test_closed_standard_output_is_said(dwindle_command):
    command = command_path()
    result = subprocess.run(
        ["bash", "-c", f"exec '{command}' passes >&-"], stderr=subprocess.PIPE, text=True
    )
    assert message(result, FAILED).startswith("standard output could not be written")


def test_full_standard_error_changes_no_exit_code(dwindle_command):
    command = command_path()
    with open("/dev/full", "w") as full:
        result = subprocess.run([command, "frobnicate"], stderr=full, stdout=subprocess.PIPE)
    assert result.returncode == USAGE
