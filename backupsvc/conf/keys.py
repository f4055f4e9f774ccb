# SPDX-License-Identifier: Apache-2.0
"""Options of the keys that wrap the repositories' master keys."""

from oslo_config import cfg

GROUP = cfg.OptGroup('keys', title='Keys', help='''
The key that wraps the master key of every repository. Whoever loses it loses every backup; nobody
can recover one without it.
''')

OPTS = [
    cfg.StrOpt('provider', default='file', choices=[
        ('file', 'a key file that this service makes and reads'),
        ('castellan', 'a symmetric key in the key manager of the [key_manager] group'),
    ], help='''
Where the wrapping key comes from. After a change, repositories wrapped by the other provider still
open as long as that provider stays configured ("file" and its file, or "key_id" and the key
manager); new ones are wrapped by the new provider.
'''),
    cfg.StrOpt('file', default='$state_path/keys/keyring.json', help='''
Path of the key file of the "file" provider, JSON, mode 0600. It is made with a new random key when
it does not exist. All managers need the same file: pointing this at an empty place starts with a
new key, and the repositories made before do not open. Keep a copy apart from the backups.
'''),
    cfg.StrOpt('key_id', help='''
Id of the 256-bit symmetric key of the "castellan" provider. After a change, new repositories are
wrapped with the new key; those wrapped before still open while the key manager holds the old key.
'''),
]
