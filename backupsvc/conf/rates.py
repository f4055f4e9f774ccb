# SPDX-License-Identifier: Apache-2.0
"""Options of rates: how often a project may ask the Database API."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'rates', title='Rates', help='How often each project may ask the Database API.')


def _rate(verb: str, more: str = '') -> cfg.Opt:
    return cfg.IntOpt(
        verb.lower(), default=200, min=0,
        help=f'{verb} requests of a project in any minute{more}; a further one is answered with '
             '413 and the seconds to wait. 0 is no limit.')


OPTS = [
    cfg.StrOpt(
        'storage_url', default='memory://', secret=True,
        help='Where requests are counted. memory:// counts in each API process by itself, so '
             'several of them let through as many times the limit; redis://host:6379/0 counts '
             'for all of them together. Changing it begins to count anew.'),
    _rate('POST'),
    _rate('PUT', ', with PATCH'),
    _rate('DELETE'),
    _rate('GET', ', with HEAD'),
]
