# SPDX-License-Identifier: Apache-2.0
"""What the gates look through: the files of the project, and their syntax."""

import ast
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[3]

FOLDERS = ('.ci', 'alembic', 'api-ref', 'backupsvc', 'doc', 'etc', 'releasenotes', 'tests')
#: Made by tools, or by running the code.
MADE = {'__pycache__', 'build'}


def files() -> Iterator[pathlib.Path]:
    """Yield every file of the project that somebody wrote."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != '.coverage')
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob('*')):
            if path.is_file() and not MADE & set(path.relative_to(ROOT).parts):
                yield path


def modules(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield (path from the root, syntax tree) of every module below the packages' folders."""
    for package in packages:
        for path in sorted((ROOT / package).rglob('*.py')):
            if not MADE & set(path.parts):
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything imported: ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f'{node.module}.{alias.name}') for alias in node.names)
