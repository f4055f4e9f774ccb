# SPDX-License-Identifier: Apache-2.0
"""Refuse release notes whose name reno did not make: reno finds a note's history by the suffix."""

import pathlib
import re
import sys

NOTES = pathlib.Path(__file__).resolve().parent.parent / 'releasenotes' / 'notes'
NAME = re.compile(r'[a-z0-9.-]+-[0-9a-f]{16}\.yaml')


def main() -> int:
    """Return 1 and name the files when some are wrong."""
    wrong = [path.name for path in sorted(NOTES.iterdir()) if not NAME.fullmatch(path.name)]
    for name in wrong:
        print(f'{name}: let "reno new {pathlib.Path(name).stem}" make the name of a release note')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
