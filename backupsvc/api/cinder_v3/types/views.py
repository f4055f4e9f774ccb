# SPDX-License-Identifier: Apache-2.0
"""Volume types as Cinder v3 shows them."""


def made(volume_type) -> dict:
    """Return a volume type as the answer to its creation."""
    return {
        'id': volume_type.id,
        'name': volume_type.name,
        'description': volume_type.description,
        'is_public': volume_type.is_public,
        'os-volume-type-access:is_public': volume_type.is_public,
        'extra_specs': dict(volume_type.extra_specs),
    }


def detail(volume_type) -> dict:
    """Return a volume type as it is listed and shown."""
    return {**made(volume_type), 'qos_specs_id': None}
