# SPDX-License-Identifier: Apache-2.0
"""Limits, markers, offsets, sort keys and next links."""

import urllib.parse

import pytest

from backupsvc import exception
from backupsvc.wsgi import pagination
from backupsvc.wsgi.request import Request

KEYS = {'name': 'display_name', 'size': 'size_gb', 'created_at': 'created_at', 'id': 'id'}


@pytest.mark.parametrize(
    ('query', 'found'),
    [
        ({}, (1000, None, 0)),
        ({'limit': '5', 'marker': 'm', 'offset': '7'}, (5, 'm', 7)),
        ({'limit': '0'}, (0, None, 0)),
        ({'limit': '1001'}, (1000, None, 0)),
        ({'limit': '9' * 5000}, (1000, None, 0)),
        ({'limit': '007', 'offset': '-0'}, (7, None, 0)),
        ({'limit': '+3'}, (3, None, 0)),
        ({'offset': '2147483647'}, (1000, None, 2147483647)),
    ],
)
def test_pages(query, found):
    assert pagination.page(query, 1000) == found


@pytest.mark.parametrize(
    ('query', 'message'),
    [
        ({'limit': 'a'}, 'limit param must be an integer'),
        ({'limit': ''}, 'limit param must be an integer'),
        ({'limit': '1.5'}, 'limit param must be an integer'),
        ({'limit': '1_0'}, 'limit param must be an integer'),
        ({'limit': '\u0663'}, 'limit param must be an integer'),
        ({'limit': '-1'}, 'limit param must be positive'),
        ({'offset': '-1'}, 'offset param must be positive'),
        ({'offset': 'x'}, 'offset param must be an integer'),
        ({'offset': '2147483648'}, 'offset param must be at most 2147483647'),
        ({'offset': '9' * 5000}, 'offset param must be at most 2147483647'),
    ],
)
def test_pages_that_there_cannot_be(query, message):
    with pytest.raises(exception.Invalid) as caught:
        pagination.page(query, 1000)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ('query', 'found'),
    [
        ({}, [('created_at', 'desc'), ('id', 'desc')]),
        ({'sort': 'name'}, [('display_name', 'desc'), ('created_at', 'desc'), ('id', 'desc')]),
        (
            {'sort': 'name:asc, size:desc'},
            [('display_name', 'asc'), ('size_gb', 'desc'), ('created_at', 'asc'), ('id', 'asc')],
        ),
        ({'sort': 'id:asc,id:desc'}, [('id', 'asc'), ('created_at', 'asc')]),
        ({'sort_key': 'size'}, [('size_gb', 'desc'), ('created_at', 'desc'), ('id', 'desc')]),
        ({'sort_dir': 'asc'}, [('created_at', 'asc'), ('id', 'asc')]),
    ],
)
def test_sorting(query, found):
    assert pagination.sort(query, KEYS) == found


@pytest.mark.parametrize(
    ('query', 'message'),
    [
        ({'sort': 'x'}, 'Invalid input received: Invalid sort key'),
        ({'sort': ''}, 'Invalid input received: Invalid sort key'),
        ({'sort_key': 'x'}, 'Invalid input received: Invalid sort key'),
        (
            {'sort': 'name:up'},
            "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
        ),
        (
            {'sort_dir': 'up'},
            "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
        ),
        (
            {'sort': 'name', 'sort_key': 'name'},
            "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with "
            "the 'sort' parameter.",
        ),
    ],
)
def test_sorting_that_there_cannot_be(query, message):
    with pytest.raises(exception.Invalid) as caught:
        pagination.sort(query, KEYS)
    assert caught.value.message == message


def _request(url):
    return Request.blank(url, base_url='http://api.example')


def test_a_full_page_links_to_the_next():
    req = _request('/v3/abc/a%20b?limit=2&name=x%26y&marker=old&offset=3&tag=1&tag=2')
    (link,) = pagination.next_links(req, ['p', 'q&'], 2)
    assert link['rel'] == 'next'
    url = urllib.parse.urlsplit(link['href'])
    assert link['href'].startswith('http://api.example/v3/abc/a%20b?')
    assert urllib.parse.parse_qsl(url.query) == [
        ('limit', '2'),
        ('name', 'x&y'),
        ('tag', '1'),
        ('tag', '2'),
        ('marker', 'q&'),
    ]


@pytest.mark.parametrize(('ids', 'limit'), [([], 2), (['a'], 2), ([], 0)])
def test_a_page_that_is_not_full_is_the_last(ids, limit):
    assert pagination.next_links(_request('/v3/x'), ids, limit) == []
