"""Every command and every block of Python in the pages for users runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "fashion_mnist"


def blocks(page, language):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    for name in ("model.onnx", "calib.npz", "eval.npz"):
        shutil.copy(EXAMPLE / name, tmp_path)
    monkeypatch.chdir(tmp_path)


def test_commands_of_quantize_a_model(example, dwindle_command):
    lines = "".join(blocks("quantize-a-model.md", "sh")).splitlines()
    assert len(lines) > 8
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "dwindle"
        finished = dwindle_command(*arguments)
        assert finished.returncode == 0, f"{line}\n{finished.stdout}{finished.stderr}"


def test_python_blocks(example):
    found = blocks("python.md", "python")
    assert len(found) > 3
    names = {"__name__": "docs"}
    for block in found:
        exec(compile(block, "python.md", "exec"), names)  # noqa: S102
    assert Path("int8.onnx").exists()
