# SPDX-License-Identifier: Apache-2.0
"""The one path from a request to a handler and back: version, row, body, query, call, check,
answer, each written once.
"""

from typing import Any

import orjson
import webob

from backupsvc import conf as service_conf
from backupsvc.wsgi import errors, faults, microversion, router, validation
from backupsvc.wsgi.dialect import Dialect, Route
from backupsvc.wsgi.request import Request

#: Names under which mounts carry the project.
PROJECT_PARAMETERS = ('project_id', 'tenant_id')

#: Key in the WSGI environment: the request named no project, so the one in its URL is believed
#: (noauth only).
PROJECT_FROM_URL = 'backupsvc.project_from_url'

#: Key in the WSGI environment: (name of the dialect, template of the path) of what served the
#: request, for those who count.
SERVED = 'backupsvc.served'

#: What stands for the template where no row matched and where the dialect's fallback answered.
NO_ROUTE = 'none'
FALLBACK = 'fallback'

#: Key in the WSGI environment: an error that a middleware found and that is answered in the
#: dialect's shape.
REFUSED = 'backupsvc.refused'


class DialectApplication:
    """Serves the requests below one dialect's mounts."""

    def __init__(self, dialect: Dialect, rows: list[Route]):
        self.dialect = dialect
        self.router = router.Router(rows)
        self.is_checking = service_conf.current().api.validate_responses

    def respond(self, req: Request) -> webob.Response:
        """Answer a request; never raises."""
        req.environ[SERVED] = self.dialect.name, NO_ROUTE
        try:
            answer = self._serve(req)
        except Exception as error:
            answer = self._fault(req, error)
        if self.dialect.versions:
            used = req.version or self.dialect.versions.minimum
            answer.headers[microversion.HEADER] = (
                f'{self.dialect.versions.service_type} {microversion.text(used)}'
            )
            answer.vary = [*(answer.vary or ()), microversion.HEADER]
        if self.dialect.representations:
            answer.vary = [*(answer.vary or ()), 'Accept']
        return answer

    def _serve(self, req: Request) -> webob.Response:
        refused = req.environ.get(REFUSED)
        if refused is not None:
            is_document = req.content_type in self.dialect.representations
            if is_document and isinstance(refused, errors.BodyTooLarge):
                # To its clients 413 is about quotas and rates.
                raise errors.BadRequest(refused.message)
            raise refused
        if self.dialect.admit is not None:
            self.dialect.admit(req)
        if self.dialect.versions:
            req.version = microversion.negotiate(
                req.headers.get(microversion.HEADER), self.dialect.versions
            )
        _check_project(req, self.dialect.foreign_project_status)
        if self.dialect.ignores_last_slash:
            req.dialect_path = req.dialect_path.rstrip('/') or '/'
        match = self.router.match(req.method, req.dialect_path)
        if match is None:
            return self._unmatched(req, self._no_row(req))
        req.path_params = match.params
        req.response_headers = {}
        present, value = False, None
        if match.has_actions:
            present, value = req.parsed_body()
            action = _action_of(value)
            if not match.knows(action):
                return self._unmatched(
                    req,
                    errors.BadRequest(
                        f'There is no such action: {action}. Verify the request body and '
                        'Content-Type header and try again.'
                    ),
                )
            req.route = match.pick(req.version, action)
        else:
            req.route = match.pick(req.version)
        return self._call(req, req.route, present, value)

    def _no_row(self, req: Request) -> errors.HTTPFault:
        allowed = self.router.allowed(req.dialect_path)
        return (
            errors.MethodNotAllowed(headers={'Allow': ', '.join(allowed)})
            if allowed
            else errors.RouteNotFound()
        )

    def _unmatched(self, req: Request, error: errors.HTTPFault) -> webob.Response:
        answer = self.dialect.fallback(req) if self.dialect.fallback else None
        if answer is None:
            raise error
        req.environ[SERVED] = self.dialect.name, FALLBACK
        return answer

    def _call(self, req: Request, route: Route, present: bool, value: Any) -> webob.Response:
        req.environ[SERVED] = self.dialect.name, _label(route)
        rules = validation.rules_of(route.handler)
        body_rule = validation.select(rules.body, req.version)
        if body_rule is not None:
            if route.action is None or self.dialect.representations:
                present, value = req.parsed_body(body_rule.schema)
            validation.check_body(body_rule.schema, present, value)
            req.json = value
        query_rule = validation.select(rules.query, req.version)
        req.query = (
            validation.check_query(query_rule.schema, req.query_pairs())
            if query_rule is not None
            else {}
        )
        return self._answer(
            req, validation.select(rules.response, req.version), route.handler(req)
        )

    def _answer(self, req: Request, rule: validation.Rule | None, result: Any) -> webob.Response:
        if isinstance(result, webob.Response):
            return result
        if rule is None:
            raise errors.UndeclaredResponse(
                f'{req.route.method} {req.route.path} declares no response'
            )
        if result is None:
            answer = webob.Response(status=rule.status)
            del answer.content_type
        else:
            media_type = req.answer_type
            representation = self.dialect.representations.get(media_type)
            answer = webob.Response(
                status=rule.status,
                body=representation.render(result) if representation else orjson.dumps(result),
                content_type=media_type,
            )
        if self.is_checking:
            validation.check_response(rule, orjson.loads(orjson.dumps(result)))
        answer.headers.update(req.response_headers)
        return answer

    def _fault(self, req: Request, error: Exception) -> webob.Response:
        answer = faults.render(error, self.dialect, req.request_id, req.answer_type)
        if self.is_checking and req.route is not None and answer.status_int != 500:
            declared = declared_errors(self.dialect, req.route)
            if answer.status_int not in declared:
                undeclared = errors.UndeclaredResponse(
                    f'{req.route.method} {req.route.path} answered {answer.status_int} '
                    f'({error!r}), declared are {sorted(declared)}'
                )
                undeclared.__cause__ = error
                return faults.render(undeclared, self.dialect, req.request_id)
        return answer


def _label(route: Route) -> str:
    return f'{route.path} {route.action}' if route.action else route.path


def _action_of(value: Any) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        raise errors.MalformedBody()
    return next(iter(value))


def _check_project(req: Request, status: int) -> None:
    """The project of the URL must be the caller's own; other projects are reached by filters,
    never by the URL.

    :raises ForeignProject: it is another
    """
    project = next(
        (req.mount_params[name] for name in PROJECT_PARAMETERS if name in req.mount_params), None
    )
    if project is None or req.context is None:
        return
    if req.environ.get(PROJECT_FROM_URL):
        req.context.project_id = project
    elif req.context.project_id != project:
        raise errors.ForeignProject(status)


def declared_errors(dialect: Dialect, route: Route) -> set[int]:
    """Return the error statuses that a row may answer with: its own and those that the kernel
    derives from its shape.
    """
    rules = validation.rules_of(route.handler)
    found = {401, *route.errors}
    if (
        rules.body
        or route.action
        or rules.query
        or dialect.versions
    ):
        found.add(400)
    if any('{' in mount for mount in dialect.mounts):
        found.add(dialect.foreign_project_status)
    if rules.body or route.action:
        found |= {413, 415}
    if route.policies:
        found.add(403)
    if '{' in route.path or route.min_version or route.max_version:
        found.add(404)
    if dialect.versions:
        found.add(406)
    return found
