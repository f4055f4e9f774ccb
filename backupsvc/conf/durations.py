# SPDX-License-Identifier: Apache-2.0
"""Intervals (ISO 8601) and schedules (those, or cron expressions) as options have them."""

import datetime
import re

_INTERVAL = re.compile(
    r'(?:R/)?P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?'
    r'(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?')


def parse(text: str) -> datetime.timedelta:
    """Return an interval of whole weeks, days, hours, minutes and seconds: ``P1D``, ``PT4H30M``.

    Years and months are refused, as their length is not known.

    :raises ValueError: it is none, or is nothing at all
    """
    found = _INTERVAL.fullmatch(text)
    parts = {name: int(value) for name, value in found.groupdict().items() if value
             } if found else {}
    try:
        interval = datetime.timedelta(**parts)
    except OverflowError:
        interval = datetime.timedelta()
    if not interval:
        raise ValueError(f'"{text}" is no ISO 8601 interval of weeks, days, hours, minutes and '
                         'seconds')
    return interval


def is_interval(text: str) -> bool:
    """Tell whether a schedule is an interval, and not a cron expression."""
    return text.startswith(('P', 'R/P'))


def check_schedule(text: str) -> None:
    """Check a schedule.

    :raises ValueError: it is neither an interval nor a cron expression
    """
    if is_interval(text):
        parse(text)
        return
    from croniter import croniter  # most processes have no schedule
    if len(text.split()) != 5 or not croniter.is_valid(text):
        raise ValueError(f'"{text}" is neither a cron expression of five fields nor an ISO 8601 '
                         'interval')


def next_time(schedule: str, after: datetime.datetime) -> datetime.datetime:
    """Return the first time of a schedule after a time, which is an aware one in UTC."""
    if is_interval(schedule):
        return after + parse(schedule)
    from croniter import croniter
    return croniter(schedule, after).get_next(datetime.datetime)
