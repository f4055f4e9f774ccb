# SPDX-License-Identifier: Apache-2.0
"""What every record is: an oslo.versionedobjects object that is filled from a row."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oslo_utils import versionutils
from oslo_versionedobjects import base

#: Where the library keeps a field's value.
_PREFIX = '_obj_'

register = base.VersionedObjectRegistry.register


class BackupsvcObject(base.VersionedObject):
    """Base of records. A change of a class's fields needs a new VERSION; a test holds that."""

    OBJ_PROJECT_NAMESPACE = 'backupsvc'
    OBJ_SERIAL_NAMESPACE = 'backupsvc_object'

    #: Version → fields that it has added. Receivers of an older release are sent the record
    #: without them, so nothing may depend on their arrival.
    ADDED: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    if TYPE_CHECKING:
        # Fields become attributes when a class is registered; no type checker sees that.
        def __getattr__(self, name: str) -> Any: ...

    def obj_make_compatible(self, primitive: dict[str, Any], target_version: str) -> None:
        """Take away what a receiver of ``target_version`` does not know."""
        super().obj_make_compatible(primitive, target_version)
        target = versionutils.convert_version_to_tuple(target_version)
        for version, names in self.ADDED.items():
            if target < versionutils.convert_version_to_tuple(version):
                for name in names:
                    primitive.pop(name, None)

    @classmethod
    def from_row(cls, context: Any, row: Mapping[str, Any]) -> Self:
        """Return the object that a row describes; columns without a field are left out."""
        return cls(context).load_row(row)

    def load_row(self, row: Mapping[str, Any]) -> Self:
        """Take the values of a row, with no change pending afterwards.

        They go past the fields' checks: the column types have made them what the fields ask for,
        and the checks are most of the cost of a long list.
        """
        known = self.fields
        for name, value in row.items():
            if name in known:
                setattr(self, _PREFIX + name, value)
        self.obj_reset_changes()
        return self

    def set_values(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the fields that are set, of ``names`` or of all."""
        return {name: getattr(self, name) for name in (self.fields if names is None else names)
                if self.obj_attr_is_set(name)}
