# SPDX-License-Identifier: Apache-2.0
"""Forwarding of a request to a dialect of this very process, without a socket.

A second request to our own address would hold a second thread, and with every thread waiting for
another one nobody would be served. Caller, token, body, microversion and request id stay as they
are; only the path changes.
"""

import webob

from backupsvc.wsgi import forward
from backupsvc.wsgi.request import Request

#: Keys of the WSGI environment that still say what the path was, or belong to the outer request
#: object.
_OUTER = ('REQUEST_URI', 'RAW_URI', 'webob.adhoc_attrs', 'webob._parsed_query_vars')


class Dispatcher:
    """Forwards requests to what this process serves below a prefix; used like a Forwarder.

    :param prefix: the prefix that every path is put under, ``/v3``
    :param own_prefix: the prefix that stands for it in links, ``/gateway/v1``; None leaves
        answers as they are
    """

    def __init__(self, prefix: str, *, own_prefix: str | None = None):
        self._prefix = prefix
        self._own_prefix = own_prefix

    def forward(
        self, req: Request, path: str, rewrite: forward.Rewrite | None = None
    ) -> webob.Response:
        """Forward a request and return the answer, whose body may still be on its way.

        :param path: path below the prefix, decoded, with its leading slash
        :param rewrite: what to make of links below the prefix; None puts them under ``own_prefix``
        :raises MalformedURL: the path could mean another place
        """
        forward.checked_segments(req, path)
        environ = {key: value for key, value in req.environ.items() if key not in _OUTER}
        environ['PATH_INFO'] = (self._prefix + path).encode().decode('latin-1')
        answer = Request(environ).get_response(req.root)
        if self._own_prefix is not None:
            links = forward.Links(
                req.application_url, self._prefix, req, self._own_prefix, rewrite
            )
            _rewrite(answer, links, is_head=req.method == 'HEAD')
        return answer


def _rewrite(answer: webob.Response, links: forward.Links, *, is_head: bool) -> None:
    for name in ('Location', 'Content-Location'):
        if name in answer.headers:
            answer.headers[name] = links.url(answer.headers[name])
    is_json = answer.content_type and answer.content_type.endswith('json')
    length = answer.content_length
    if is_json and not is_head and length is not None and length <= forward.REWRITE_LIMIT:
        answer.body = links.body(answer.body)
