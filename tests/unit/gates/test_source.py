# SPDX-License-Identifier: Apache-2.0
"""Rules of HACKING.rst that can be read off the source. Each is shown a violation first."""

import ast
import importlib.util
import re

import pytest

from tests.unit.gates import source

SPDX = 'SPDX-License-Identifier: Apache-2.0'


# ---- rules: (tree or text) → the lines that break them -------------------------------------


def eventlet_lines(tree):
    return [line for line, name in source.imported(tree) if name.split('.')[0] == 'eventlet']


def http_error_lines(tree):
    """HTTP errors are those of webob and of the kernel; wsgi.errors has nothing else."""
    return [line for line, name in source.imported(tree)
            if name.startswith(('webob.exc', 'backupsvc.wsgi.errors', 'cheroot'))]


def status_lines(tree):
    """Assignments to ``.status`` of anything, in whatever way they are written."""
    found = []
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Assign):
            targets = [inner for target in node.targets for inner in ast.walk(target)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'setattr':
            found += [node.lineno for argument in node.args[1:2]
                      if getattr(argument, 'value', None) == 'status']
        found += [node.lineno for target in targets
                  if isinstance(target, ast.Attribute) and target.attr == 'status'
                  and isinstance(target.ctx, ast.Store)]
    return found


def sleep_lines(tree):
    calls = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call)
             and getattr(node.func, 'attr', getattr(node.func, 'id', '')) == 'sleep']
    return calls + [line for line, name in source.imported(tree) if name == 'time.sleep']


def docstring_lines(tree):
    return [] if not tree.body or ast.get_docstring(tree) else [1]


#: A call that is another value in each process.
RANDOM = re.compile(r'(?:str\()?(?:uuid\.uuid|uuidutils\.generate|random\.|secrets\.|os\.urandom)')


def random_lines(tree):
    """Random values that would name a test: items of lists in constants and decorators."""
    at_import = [node for statement in tree.body for node in (
        statement.decorator_list if hasattr(statement, 'decorator_list') else [statement])]
    return [item.lineno for node in at_import for inner in ast.walk(node)
            if isinstance(inner, ast.List | ast.Tuple) for item in inner.elts
            if isinstance(item, ast.Call) and RANDOM.match(ast.unparse(item))]

CASES = [
    pytest.param(eventlet_lines, ('backupsvc', 'alembic'),
                 'from eventlet import patcher', id='B302 no eventlet'),
    pytest.param(http_error_lines, ('backupsvc/api',),
                 'from webob import exc', id='B304 no HTTP error in a dialect'),
    pytest.param(http_error_lines, ('backupsvc/orchestration',),
                 'from backupsvc.wsgi import errors', id='B304 no HTTP error in a use case'),
    pytest.param(status_lines, ('backupsvc/api', 'backupsvc/orchestration', 'backupsvc/manager',
                                'backupsvc/rpc', 'backupsvc/cmd'),
                 'a, backup.status = 1, "error"', id='B305 no status outside objects'),
    pytest.param(sleep_lines, ('backupsvc/orchestration',),
                 'import time\ntime.sleep(1)', id='B306 no sleep in a use case'),
    pytest.param(docstring_lines, ('backupsvc',),
                 'import os', id='B311 a docstring in every module'),
    pytest.param(random_lines, ('tests',), '@mark([str(uuid.uuid4())])\ndef test(): pass',
                 id='B316 no random name of a test'),
]


@pytest.mark.parametrize(('rule', 'packages', 'violation'), CASES)
def test_rule_holds(rule, packages, violation):
    assert rule(ast.parse(violation)), 'the rule does not see its violation'
    found = {f'{path}:{line}' for path, tree in source.modules(*packages) for line in rule(tree)}
    assert not found


# ---- rules of files ------------------------------------------------------------------------


def has_spdx(text):
    return any(SPDX in line for line in text.splitlines()[:3])


def test_b303_spdx_line_in_every_file_of_code():
    assert not has_spdx('import os\n')
    code = [path for path in source.files() if path.suffix in ('.py', '.sh')
            or path == source.ROOT / '.ci' / 'run']
    assert len(code) > 100
    assert [str(path) for path in code if not has_spdx(path.read_text())] == []


#: Homes and workplaces of the machines it was written on, papers that are not in the project, and
#: addresses of package registries. Put together here, so that this file is clean.
FOREIGN = re.compile('|'.join((
    r'(?<![\w.{}-])/(?:work|farm|root|studio)/', r'/bash_' + 'jobs', r'\bpypi' + r'\.org',
    r'pythonhosted' + r'\.org', r'\b(?:api|design|style)\.m' + 'd\\b',
    r'registry\.npmjs' + r'\.org', r'deb\.debian' + r'\.org')))


def test_b310_no_path_of_a_machine():
    assert FOREIGN.search('see /' + 'work/notes') and not FOREIGN.search('rm -r $dir/work/x')
    found = []
    for path in source.files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f'{path.relative_to(source.ROOT)}: {match[0]}' for match in
                  FOREIGN.finditer(text)]
    assert found == []


def test_b301_alembic_is_no_package():
    assert not (source.ROOT / 'alembic' / '__init__.py').exists()
    assert (source.ROOT / 'alembic' / 'env.py').exists()
    library = importlib.util.find_spec('alembic').origin
    assert library and not library.startswith(str(source.ROOT / 'alembic'))
