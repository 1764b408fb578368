"""The runtime of three packages answers as the server does, and refuses what is not signed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.serve.bundle.manifest import is_signed
from hwds.serve.bundle.reference import read_cases
from hwds.serve.pack import ENTRIES, modules_of, pack
from hwds.serve.pack import main as pack_main
from hwds.serve.runtime import GraphModel


@pytest.fixture(scope="module")
def alone(bundle, home):
    return GraphModel(bundle.folder, str(home / "key.pem.pub"))


def alike(got, want):
    """Two answers are the same but for the last bits of their numbers."""
    numbers = {name for name, value in want.items() if isinstance(value, float)}
    rest = (
        {name: value for name, value in each.items() if name not in numbers} for each in (got, want)
    )
    return next(rest) == next(rest) and all(
        got[name] == pytest.approx(want[name], rel=1e-12) for name in numbers
    )


def test_it_answers_as_the_server(bundle, alone):
    questions = [dict(case.question) for case in read_cases(bundle.folder / "parity")[0]][:64]
    for got, want in zip(alone.answer(questions), bundle.service().answer(questions), strict=True):
        assert alike(got, want)
    assert alone.answer([]) == []
    assert alone.answer([{}])[0]["id"] == alone.answer([{"id": None}])[0]["id"] == "0"


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ([1], "must be a JSON object"),
        ({"spnt": 1}, "no column 'spnt'; did you mean 'spent'?"),
        ({"spent": "x"}, "'spent' must be a finite number, got 'x'"),
        ({"spent": float("nan")}, "'spent' must be a finite number"),
        ({"spent": -1}, "'spent' must be >= 0, got -1"),
        ({"quantity": 1.5}, "'quantity' must be a whole number"),
        ({"channel": 5}, "'channel' must be a text"),
        ({"id": {}}, "'id' must be a text or a whole number"),
        ({"id": "x" * 1001}, "'id' must have 1,000 characters at most"),
        ({"spent": 10**400}, "'spent' must be a finite number, got 1000"),
        ({"quantity": 2**63}, "'quantity' must be <= 9223372036854775807"),
    ],
)
def test_what_is_no_question_is_refused_in_words(alone, question, said):
    with pytest.raises(DataError, match=said.replace("?", r"\?")):
        alone.answer([question])


def test_its_file_needs_no_more_than_it_may_and_runs(bundle, home, tmp_path, capsys):
    modules = pack(tmp_path / "runtime.pyz")
    assert modules == modules_of(ENTRIES)
    assert len(modules) < 15
    first = (tmp_path / "runtime.pyz").read_bytes()
    pack(tmp_path / "runtime.pyz")
    assert (tmp_path / "runtime.pyz").read_bytes() == first
    words = [
        sys.executable,
        str(tmp_path / "runtime.pyz"),
        str(bundle.folder),
        str(home / "key.pem.pub"),
    ]
    odd = ["no", "[" * 100_000, '{"id": "\\ud800"}', f'{{"spent": {10**400}}}']
    given = "\n".join(['{"id": "q", "spent": 80.5}', '{"spnt": 1}', *odd, ""])
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, input=given, capture_output=True, text=True, check=True, cwd=tmp_path, env=clean
    )
    first, second, *rest = map(json.loads, done.stdout.splitlines())
    assert alike(first, bundle.service().answer([{"id": "q", "spent": 80.5}])[0])
    assert "no column 'spnt'" in second["error"]
    assert ["error" in answer for answer in rest] == [True] * len(odd)
    bare = subprocess.run(
        [sys.executable, "-S", *words[1:]], capture_output=True, text=True, check=False, env=clean
    )
    assert (
        bare.stderr == "hwds-runtime: needs cryptography, numpy, onnxruntime: pip install "
        "cryptography numpy onnxruntime\n"
    )
    for words in ((), ("--help",), (str(tmp_path / "no" / "runtime.pyz"),)):
        assert pack_main(words)
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


def test_a_changed_bundle_is_refused(bundle, home, tmp_path):
    shutil.copytree(bundle.folder, tmp_path / "changed")
    (tmp_path / "changed" / "decision.json").write_text("{}")
    with pytest.raises(DataError, match="has other bytes than were signed"):
        GraphModel(tmp_path / "changed", str(home / "key.pem.pub"))


def test_rfc_8032s_own_vectors():
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signed(b"\x72", signature, public)
    assert not is_signed(b"\x73", signature, public)
    for damaged in (signature[:-2] + "01", signature[:-2], "zz" + signature[2:]):
        assert not is_signed(b"\x72", damaged, public)
    assert not is_signed(b"\x72", signature, public[:-2])


def test_without_cryptography_nothing_is_trusted(bundle, home, monkeypatch):
    monkeypatch.setattr("hwds.serve.bundle.manifest.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs cryptography: pip install 'hwds\[serve\]'"):
        GraphModel(bundle.folder, str(home / "key.pem.pub"))
