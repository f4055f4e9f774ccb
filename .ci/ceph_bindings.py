# SPDX-License-Identifier: Apache-2.0
"""Link the Python bindings of Ceph, which come with the system, into this environment; nothing
else of the system becomes visible. Complains, and does no more, where there are none that fit.
"""

import glob
import os
import sys
import sysconfig

DIRECTORY = '/usr/lib/python3/dist-packages'

suffix = f'cpython-{sys.version_info.major}{sys.version_info.minor}-*.so'
target = sysconfig.get_path('purelib')
for module in ('rados', 'rbd'):
    found = glob.glob(os.path.join(DIRECTORY, f'{module}.{suffix}'))
    if not found:
        print(f'{DIRECTORY} has no {module} for this Python; RBD volumes cannot be opened')
        continue
    link = os.path.join(target, os.path.basename(found[0]))
    if not os.path.lexists(link):
        os.symlink(found[0], link)
