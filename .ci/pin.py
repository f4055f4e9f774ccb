# SPDX-License-Identifier: Apache-2.0
"""Pin what is installed in this environment: names and versions, no addresses."""

import importlib.metadata
import re
import sys

HEADER = '''\
# The versions that the tests ran with; every tox environment installs within them.
# Refresh: tox -e constraints
'''
OURS = {'backupsvc', 'pip'}


def main(path: str) -> None:
    """Pin every installed distribution but our own and the installer."""
    pins = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r'[-_.]+', '-', distribution.metadata['Name']).lower()
        if name not in OURS:
            pins[name] = distribution.version.split('+')[0]
    with open(path, 'w') as file:
        file.write(HEADER)
        file.writelines(f'{name}=={version}\n' for name, version in sorted(pins.items()))


if __name__ == '__main__':
    main(sys.argv[1])
