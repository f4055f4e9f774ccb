# SPDX-License-Identifier: Apache-2.0
"""Field types that the library lacks."""

import datetime
import json
from typing import Any

from oslo_versionedobjects import fields


class Json(fields.FieldType):
    """Any value that JSON can express; it travels as text."""

    def coerce(self, obj: Any, attr: str, value: Any) -> Any:
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{attr}: {error}') from error
        return value

    def to_primitive(self, obj: Any, attr: str, value: Any) -> str:
        return json.dumps(value)

    def from_primitive(self, obj: Any, attr: str, value: Any) -> Any:
        return json.loads(value)

    def get_schema(self) -> dict[str, Any]:
        return {'type': ['string']}


class JsonField(fields.AutoTypedField):
    AUTO_TYPE = Json()


class UtcDateTime(fields.DateTime):
    """An aware time; unlike the library's it keeps its microseconds on the wire."""

    def to_primitive(self, obj: Any, attr: str, value: datetime.datetime) -> str:
        return value.isoformat()

    def from_primitive(self, obj: Any, attr: str, value: Any) -> datetime.datetime:
        return datetime.datetime.fromisoformat(value)


class UtcDateTimeField(fields.AutoTypedField):
    AUTO_TYPE = UtcDateTime()
