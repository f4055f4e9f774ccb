# SPDX-License-Identifier: Apache-2.0
"""Buffers that bytes are read into and that are used over and over."""

import mmap


def make(size_bytes: int) -> memoryview:
    """Return a buffer of zeros that begins with a page of memory.

    The kernel copies from its page cache several times slower into a buffer that begins a few
    bytes behind the start of a page, as large ones of the allocator do: some processors take that
    for an overlap.
    """
    return memoryview(mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
