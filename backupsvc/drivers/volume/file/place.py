# SPDX-License-Identifier: Apache-2.0
"""Where the file driver keeps everything: the directory, its raw files and its catalogue."""

import pathlib
import threading

from oslo_config import cfg

from backupsvc.drivers.volume.base import LocalVolumes
from backupsvc.drivers.volume.file import catalogue, files


class Place(LocalVolumes):
    """What the parts of the driver share."""

    def __init__(self, conf: cfg.ConfigOpts):
        self._options = conf.volume_file
        self._host = conf.host
        self._lock = threading.Lock()
        self._catalogue: catalogue.Catalogue | None = None
        self._shares_blocks = False

    @property
    def directory(self) -> pathlib.Path:
        """Where the files are."""
        return pathlib.Path(self._options.directory)

    @property
    def files(self) -> files.RawFiles:
        """The raw files."""
        return files.RawFiles(self.directory)

    @property
    def catalogue(self) -> catalogue.Catalogue:
        """The catalogue, opened (and the directory made) at first use."""
        with self._lock:
            if self._catalogue is None:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._shares_blocks = files.can_share(self.directory)
                self._catalogue = catalogue.Catalogue(self.directory / 'catalogue.sqlite')
            return self._catalogue
