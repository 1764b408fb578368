"""`hwds COMMAND --help`: what its module says, with every flag that it takes."""

import ast
import re

import pytest

from hwds.cli import COMMANDS, commands, dispatch


@pytest.mark.parametrize("name", commands())
def test_help_names_every_flag(name, capsys):
    tree = ast.parse((COMMANDS / f"{name}.py").read_text())
    held = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None]
    texts = {part.value for value in held for part in ast.walk(value) if isinstance(part, ast.Constant)}
    flags = {text for text in texts if isinstance(text, str) and re.fullmatch(r"--[a-z-]+", text)}
    for asked in (["--help"], ["something", "-h"]):
        assert dispatch([name.replace("_", "-"), *asked]) == 0
        said = capsys.readouterr().out
        assert said.startswith(str(ast.get_docstring(tree)))
        assert [flag for flag in sorted(flags) if flag not in said] == []
