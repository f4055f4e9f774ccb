# SPDX-License-Identifier: Apache-2.0
"""Schemas of handlers: decorators that attach them, and the checks that the kernel makes with
them.

The decorators leave the function as it is and only write down rules on it, where ``handler.py``,
the OpenAPI document and the tests read them. Rules for different microversions are stacked; at
most one of a kind applies to a version::

    @validation.body(schemas.CREATE, until=versions.before(versions.BACKUP_METADATA))
    @validation.body(schemas.CREATE_3_43, since=versions.BACKUP_METADATA)
    @validation.response(schemas.SUMMARY, status=202)
    def create_backup(req): ...
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonschema
from jsonschema import validators
from oslo_utils import strutils

from backupsvc.wsgi import errors, parameter_types
from backupsvc.wsgi.dialect import Version

#: Characters of a refused value, and of a validator's text, that an error repeats.
MAX_ECHO = 1024


@dataclasses.dataclass(frozen=True)
class Rule:
    """A schema and the microversions it is for, both ends included; None is open.

    :ivar media_type: of an answer that the handler writes itself; None is the dialect's
    """

    schema: Mapping[str, Any] | None
    since: Version | None = None
    until: Version | None = None
    status: int = 200
    media_type: str | None = None

    def applies(self, version: Version | None) -> bool:
        """Tell whether this rule is for ``version``; in a dialect without microversions every rule
        is.
        """
        if version is None:
            return True
        return (self.since is None or version >= self.since) and (
            self.until is None or version <= self.until
        )


@dataclasses.dataclass
class Rules:
    """What the decorators wrote down about one handler."""

    body: list[Rule] = dataclasses.field(default_factory=list)
    query: list[Rule] = dataclasses.field(default_factory=list)
    response: list[Rule] = dataclasses.field(default_factory=list)


def rules_of(handler: Callable) -> Rules:
    """Return the rules of a handler, empty when it has none."""
    return getattr(handler, 'rules', None) or Rules()


def _attach(kind: str, rule: Rule) -> Callable[[Callable], Callable]:
    if rule.schema is not None:
        Validator.check_schema(rule.schema)

    def decorate(handler: Callable) -> Callable:
        if not hasattr(handler, 'rules'):
            handler.rules = Rules()
        getattr(handler.rules, kind).insert(0, rule)
        return handler

    return decorate


def body(
    schema: Mapping[str, Any], since: Version | None = None, until: Version | None = None
) -> Callable[[Callable], Callable]:
    """Declare the schema of the request body. A schema that allows null also allows no body at
    all.
    """
    return _attach('body', Rule(schema, since, until))


def query(
    schema: Mapping[str, Any], since: Version | None = None, until: Version | None = None
) -> Callable[[Callable], Callable]:
    """Declare the schema of the query: an object of strings, and of arrays of strings where a name
    may be repeated.
    """
    return _attach('query', Rule(schema, since, until))


def response(
    schema: Mapping[str, Any] | None,
    status: int = 200,
    since: Version | None = None,
    until: Version | None = None,
) -> Callable[[Callable], Callable]:
    """Declare the status on success and the schema of the answer's body; None is an empty body."""
    return _attach('response', Rule(schema, since, until, status))


def text_response(media_type: str) -> Callable[[Callable], Callable]:
    """Declare that the handler writes its answer itself, as a text of this media type."""
    return _attach('response', Rule({'type': 'string'}, media_type=media_type))


def select(rules: Iterable[Rule], version: Version | None) -> Rule | None:
    """Return the rule that applies to ``version``, None when there is none."""
    return next((rule for rule in rules if rule.applies(version)), None)


# ---- the checks ----


def _number(instance: Any) -> Any:
    """Bounds hold for numbers in strings too: clients send sizes and limits both ways."""
    if isinstance(instance, str):
        try:
            return int(instance)
        except ValueError:
            return None
    return instance


def _minimum(validator, minimum, instance, schema):
    number = _number(instance)
    if validator.is_type(number, 'number') and number < minimum:
        yield jsonschema.ValidationError(f'{instance!r} is less than the minimum of {minimum!r}')


def _maximum(validator, maximum, instance, schema):
    number = _number(instance)
    if validator.is_type(number, 'number') and number > maximum:
        yield jsonschema.ValidationError(
            f'{instance!r} is greater than the maximum of {maximum!r}'
        )


#: The validator of every schema here: draft 2020-12, which OpenAPI 3.1 uses as it is, with our
#: formats and bounds on numeric strings.
Validator = validators.extend(
    jsonschema.Draft202012Validator, {'minimum': _minimum, 'maximum': _maximum}
)

_validators: dict[int, tuple[Mapping[str, Any], Any]] = {}


def _validator(schema: Mapping[str, Any]) -> Any:
    """Return the validator of a schema, made once; the schema is kept beside it so that its id
    stays its own.
    """
    found = _validators.get(id(schema))
    if found is None:
        found = (schema, Validator(schema, format_checker=parameter_types.FORMATS))
        _validators[id(schema)] = found
    return found[1]


def is_valid(schema: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a value matches a schema."""
    return _validator(schema).is_valid(value)


def _clip(text: str) -> str:
    return text if len(text) <= MAX_ECHO else text[:MAX_ECHO] + '…'


def _describe(error: jsonschema.ValidationError, where: str) -> str:
    if error.schema.get('writeOnly'):
        return f'Invalid input for {where} {error.path[-1]}.'
    message = strutils.mask_password(_clip(error.message))
    if not error.path:
        return message
    value = strutils.mask_password(_clip(str(error.instance)))
    return f'Invalid input for {where} {error.path[-1]}. Value: {value}. {message}'


def _check(schema: Mapping[str, Any], value: Any, where: str) -> None:
    error = next(_validator(schema).iter_errors(value), None)
    if error is not None:
        raise errors.ValidationFailed(_describe(error, where))


def check_body(schema: Mapping[str, Any], present: bool, value: Any) -> None:
    """Check a request body.

    :param present: False when the request had none
    :raises ValidationFailed: it is missing, or does not match
    """
    if not present and not is_valid(schema, None):
        raise errors.ValidationFailed('A request body is required')
    _check(schema, value, 'field/attribute')


def _takes_list(schema: Mapping[str, Any], name: str) -> bool:
    field = schema.get('properties', {}).get(name, {})
    return field.get('type') == 'array'


def check_query(schema: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn a query into the mapping that handlers get, and check it.

    :raises ValidationFailed: it does not match
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if _takes_list(schema, name):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    _check(schema, found, 'query parameters')
    return found


def check_response(rule: Rule, value: Any) -> None:
    """Check the parsed body of an answer against the rule of its version.

    :raises UndeclaredResponse: it does not match
    """
    if rule.schema is None:
        if value is not None:
            raise errors.UndeclaredResponse('the answer has a body and none is declared')
        return
    error = next(_validator(rule.schema).iter_errors(value), None)
    if error is not None:
        raise errors.UndeclaredResponse(f'{error.json_path}: {error.message}')
