# SPDX-License-Identifier: Apache-2.0
"""XML for dialects that promise it: one mapping from and to JSON for all of their bodies.

* The top-level key is the root element. Where a list has keys beside it (``links``), the list is
  the root and they are elements in it, after its items.
* An object is an element. Its texts, numbers and booleans are attributes of the same names; its
  objects and lists are elements in it; null is left out.
* A list is an element with one element for each item, named like the list without its final s.
* A text, number or boolean that is an item of a list, or stands alone under the top-level key, is
  the text of its element.

A document has no types, so the schema of the body says what an attribute or an element becomes;
what the schema does not know becomes text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import defusedxml
from defusedxml import ElementTree as safe

from backupsvc.wsgi import errors
from backupsvc.wsgi.dialect import Representation
from backupsvc.wsgi.request import MAX_NESTING

MEDIA_TYPE = 'application/xml'

#: What XML 1.0 cannot hold, not even escaped.
_UNPRINTABLE = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')

_INTEGER = re.compile(r'-?[0-9]{1,18}\Z')


def representation(namespace: str) -> Representation:
    """Return how XML of a namespace is read and written."""
    return Representation(parse=_parser(namespace), render=_renderer(namespace))


# ---- writing ----


def _renderer(namespace: str) -> Callable[[Any], bytes]:
    def render(value: Any) -> bytes:
        name = next((key for key, item in value.items() if isinstance(item, list)), None)
        if name is None or len(value) == 1:
            ((name, content),) = value.items()
            root = _element(name, content)
        else:
            root = _element(name, value[name])
            _fill(root, {key: item for key, item in value.items() if key != name})
        root.set('xmlns', namespace)
        return ElementTree.tostring(root, encoding='UTF-8', xml_declaration=True)

    return render


def _element(name: str, value: Any) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, dict):
        _fill(element, value)
    elif isinstance(value, list):
        for item in value:
            element.append(_element(_singular(name), item))
    elif value is not None:
        element.text = _text(value)
    return element


def _fill(element: ElementTree.Element, value: Mapping[str, Any]) -> None:
    for key, item in value.items():
        if isinstance(item, dict | list):
            element.append(_element(key, item))
        elif item is not None:
            element.set(key, _text(item))


def _singular(name: str) -> str:
    return name.removesuffix('s')


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return _UNPRINTABLE.sub('\ufffd', str(value))


# ---- reading ----


def _parser(namespace: str) -> Callable[[bytes, Mapping[str, Any] | None], Any]:
    def parse(raw: bytes, schema: Mapping[str, Any] | None) -> Any:
        try:
            root = safe.fromstring(raw, forbid_dtd=True)
        except (ElementTree.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError):
            raise errors.MalformedBody() from None
        name = _name(root, namespace)
        if schema is None:
            return {name: None}
        return {name: _value(root, _property(schema, name), namespace, 1)}

    return parse


def _name(element: ElementTree.Element, namespace: str) -> str:
    found, _, name = element.tag.rpartition('}')
    if found not in ('', '{' + namespace):
        raise errors.MalformedBody()
    return name


def _property(schema: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    return (schema or {}).get('properties', {}).get(name)


def _types(schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    found = (schema or {}).get('type', ())
    return (found,) if isinstance(found, str) else tuple(found)


def _value(
    element: ElementTree.Element, schema: Mapping[str, Any] | None, namespace: str, depth: int
) -> Any:
    if depth > MAX_NESTING:
        raise errors.MalformedBody()
    types = _types(schema)
    if 'array' in types:
        items = (schema or {}).get('items')
        if element.attrib or (element.text or '').strip():
            raise errors.MalformedBody()
        return [_value(child, items, namespace, depth + 1) for child in element]
    if 'object' in types or len(element) or element.attrib:
        return _object(element, schema, namespace, depth)
    return _scalar(element.text or '', types)


def _object(
    element: ElementTree.Element, schema: Mapping[str, Any] | None, namespace: str, depth: int
) -> dict[str, Any]:
    if (element.text or '').strip() or any((child.tail or '').strip() for child in element):
        raise errors.MalformedBody()
    found = {
        key: _scalar(text, _types(_property(schema, key))) for key, text in element.attrib.items()
    }
    for child in element:
        key = _name(child, namespace)
        if key in found:
            raise errors.MalformedBody()
        found[key] = _value(child, _property(schema, key), namespace, depth + 1)
    return found


def _scalar(text: str, types: tuple[str, ...]) -> Any:
    if 'boolean' in types and text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    if 'integer' in types and 'string' not in types and _INTEGER.match(text):
        return int(text)
    return text
