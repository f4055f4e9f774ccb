# SPDX-License-Identifier: Apache-2.0
"""Commands: each module is one process or one verb; this one builds what all of them start from.

Nothing of oslo is imported at the top: a verb that needs no configuration does not pay for it.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oslo_config import cfg

    from backupsvc.drivers.base import HoldBook

#: The file of a state directory that all the rest is derived from, written by
#: ``backupsvc-standalone`` at its first start.
STATE_CONFIG = 'backupsvc.conf'


class NotAStateDirectory(SystemExit):
    """What was given as ``--state-dir`` is none; a command prints the text and exits with 1."""


def state_config(state_dir: str) -> str:
    """Return the path of a state directory's configuration file.

    :raises NotAStateDirectory: there is none
    """
    path = os.path.join(os.path.abspath(state_dir), STATE_CONFIG)
    if not os.path.isfile(path):
        raise NotAStateDirectory(
            f'{state_dir} holds no {STATE_CONFIG}: '
            f'"backupsvc-standalone --state-dir {state_dir}" makes it at its first start')
    return path


def load_config(argv: Sequence[str], prog: str, state_dir: str | None = None) -> 'cfg.ConfigOpts':
    """Parse the configuration of a process, install it, and set logging up.

    :param argv: arguments without the program's name: ``--config-file``, ``--config-dir`` and the
        options of oslo.log
    :param prog: the program's name, in usage texts and in the search for default files
    :param state_dir: read ``backupsvc.conf`` of this directory instead of the default files
    :raises NotAStateDirectory: ``state_dir`` holds no configuration
    """
    from oslo_log import log

    from backupsvc import conf as service_conf
    from backupsvc import version
    from backupsvc.conf import opts
    from backupsvc.drivers import loader

    conf = service_conf.new_config()
    log.register_options(conf)
    opts.set_defaults()
    loader.register_options(conf)
    loader.keep_holds(hold_book)
    files = None if state_dir is None else [state_config(state_dir)]
    directories = None if state_dir is None else []
    conf(list(argv), project='backupsvc', prog=prog, version=version.version_string(),
         default_config_files=files, default_config_dirs=directories)
    service_conf.install(conf)
    # to nowhere else means to standard output, which belongs to what a command prints
    conf.set_default('use_stderr', not (conf.log_file or conf.log_dir))
    log.setup(conf, 'backupsvc', version.version_string())
    return conf


def hold_book() -> 'HoldBook':
    """Return the book in which volume drivers keep the holds that they have no place for."""
    from backupsvc.orchestration import holds  # few deployments need it
    return holds.RecordedHolds()


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the configuration is, for ``config_of`` to read."""
    parser.add_argument(
        '--config-file', action='append', default=[], metavar='FILE',
        help='read this configuration file; may be repeated')
    parser.add_argument(
        '--config-dir', action='append', default=[], metavar='DIR',
        help='read every *.conf of this directory; may be repeated')
    parser.add_argument(
        '--state-dir', metavar='DIR', help='use the state directory of a backupsvc-standalone')
    parser.add_argument('--debug', action='store_true', help='log at level DEBUG')


def config_of(args: argparse.Namespace, prog: str = 'backupsvc-manage') -> 'cfg.ConfigOpts':
    """Load the configuration that the options of ``add_config_arguments`` name, for a verb.

    What is logged below WARNING is left out: a verb says itself what it does.

    :raises NotAStateDirectory: see ``load_config``
    """
    argv = [item for path in args.config_file for item in ('--config-file', path)]
    argv += [item for path in args.config_dir for item in ('--config-dir', path)]
    if args.debug:
        argv.append('--debug')
    conf = load_config(argv, prog, state_dir=args.state_dir)
    if not args.debug:
        logging.getLogger().setLevel(logging.WARNING)
    return conf
