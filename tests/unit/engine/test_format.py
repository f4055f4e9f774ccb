# SPDX-License-Identifier: Apache-2.0
"""The bytes of a repository are those of the format page.

A second reader, written from the page alone, restores what the engine wrote; and a repository
that was written when the page was made (``golden/``) is still read.
"""

import base64
import json
import os
import pathlib
import random
import struct

import lz4.block
import pytest
import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backupsvc.engine import documents, pack
from backupsvc.engine.parameters import Parameters
from backupsvc.engine.repository import Repository
from backupsvc.engine.stores.memory import MemoryStore
from tests.fixtures import engine
from tests.fixtures.engine import BLOCK, SMALL, MemorySource, PlainWrapper

GOLDEN = pathlib.Path(__file__).parent / 'golden'
#: Of the golden repository; it wraps its master key by xor, see PlainWrapper.
GOLDEN_MASTER = bytes(range(32))
ZERO_ID = bytes(32)


class Reader:
    """Restores by the format page, without a line of the engine."""

    def __init__(self, objects, master):
        self.objects = objects
        self.master = master
        self.block_size = json.loads(objects['config'])['parameters']['block_size']
        self.places = {}
        for key in objects:
            if key.startswith('index/'):
                self.read_segment(key)

    def derive(self, purpose):
        return blake3(self.master,
                      derive_key_context=f'backupsvc repository v1 {purpose}').digest()

    def cipher(self, purpose, name):
        return AESGCM(blake3(name, key=self.derive(purpose)).digest())

    def document(self, key):
        data = self.objects[key]
        assert data[:8] == b'BSVCDOC1'
        return json.loads(self.cipher('document', key.encode()).decrypt(
            data[8:20], data[20:], b'BSVCDOC1' + key.encode()))

    def check_value(self):
        config = json.loads(self.objects['config'])
        content = {name: config[name]
                   for name in ('format', 'repository_id', 'created_at', 'parameters')}
        plain = json.dumps(content, sort_keys=True, separators=(',', ':')).encode()
        return blake3(plain, key=self.derive('config')).hexdigest() == config['check']

    def read_segment(self, key):
        data = self.objects[key]
        magic, segment_id, size = struct.unpack_from('<8s16sQ', data)
        assert (magic, key) == (b'BSVCIDX1', 'index/' + segment_id.hex())
        cipher = self.cipher('index', segment_id)
        pieces = max(1, -(-size // 1048576))
        table = b''
        for number in range(pieces):
            at = 32 + number * (1048576 + 16)
            table += cipher.decrypt(struct.pack('<QI', number, number == pieces - 1),
                                    data[at:at + 1048576 + 16], data[:32])
        assert len(table) == size
        magic, entries, packs, sources, bits = struct.unpack_from('<8sQQQI', table)
        assert magic == b'BSVCTBL1'
        offsets, at = [], 64
        for length in (16 * sources, 32 * packs, 4 * (2 ** bits + 1), 8 * entries, 8 * entries,
                       12 * entries):
            at = -(-at // 64) * 64
            offsets.append(at)
            at += length
        assert at == size
        assert table[offsets[0]:offsets[0] + 16] == segment_id
        fanout = struct.unpack_from(f'<{2 ** bits + 1}I', table, offsets[2])
        highs = struct.unpack_from(f'<{entries}Q', table, offsets[3])
        lows = struct.unpack_from(f'<{entries}Q', table, offsets[4])
        assert list(zip(highs, lows, strict=True)) == sorted(zip(highs, lows, strict=True))
        for slot in range(2 ** bits):
            assert all(high >> (64 - bits) == slot if bits else True
                       for high in highs[fanout[slot]:fanout[slot + 1]])
        assert (fanout[0], fanout[-1]) == (0, entries)
        counts = [0] * packs
        for number in range(entries):
            which, offset, last = struct.unpack_from('<III', table, offsets[5] + 12 * number)
            pack_id, pack_size, source, _ = struct.unpack_from('<16sQII', table,
                                                               offsets[1] + 32 * which)
            counts[which] += 1
            assert source == 0
            assert pack_size == len(self.objects[self.pack_key(pack_id)])
            short = struct.pack('>QQ', highs[number], lows[number])
            self.places[short] = pack_id, offset, last >> 8, last & 255
        assert counts == [struct.unpack_from('<I', table, offsets[1] + 32 * which + 28)[0]
                          for which in range(packs)]

    @staticmethod
    def pack_key(pack_id):
        return f'packs/{pack_id.hex()[:2]}/{pack_id.hex()}'

    def blob(self, blob_id):
        pack_id, offset, size, number = self.places[blob_id[:16]]
        data = self.objects[self.pack_key(pack_id)]
        assert data[:24] == b'BSVCPAK1' + pack_id
        kind, plain, ids = self.open_frame(data, pack_id, offset, size)
        assert ids[number] == blob_id
        if kind == 0:
            plain = plain[number * self.block_size:(number + 1) * self.block_size]
        purpose = 'block id' if kind == 0 else 'page id'
        assert blake3(plain, key=self.derive(purpose)).digest() == blob_id
        return plain

    def open_frame(self, data, pack_id, offset, size):
        frame = data[offset:offset + size]
        codec, kind, count, zero, plain_size, sealed_size = struct.unpack_from('<BBBBII', frame)
        start = 12 + 32 * count
        assert (zero, len(frame)) == (0, start + sealed_size)
        encoded = self.cipher('pack', pack_id).decrypt(
            struct.pack('<QI', offset, 0), frame[start:],
            pack_id + struct.pack('<Q', offset) + frame[:start])
        plain = {0: lambda: encoded,
                 1: lambda: zstandard.ZstdDecompressor().decompress(encoded),
                 2: lambda: lz4.block.decompress(encoded, plain_size)}[codec]()
        assert len(plain) == plain_size
        return kind, plain, [frame[12 + 32 * at:44 + 32 * at] for at in range(count)]

    def page(self, page_id, level):
        if page_id == ZERO_ID:
            return [ZERO_ID] * 256
        plain = self.blob(page_id)
        magic, found, zero, count = struct.unpack_from('<2sBBI', plain)
        assert (magic, found, zero, len(plain)) == (b'MP', level, 0, 8 + 32 * count)
        ids = [plain[8 + 32 * at:40 + 32 * at] for at in range(count)]
        assert ids[-1] != ZERO_ID
        return ids + [ZERO_ID] * (256 - count)

    def restore(self, backup_id):
        manifest = self.document(f'manifests/{backup_id}')
        assert manifest['backup_id'] == backup_id
        ids = [bytes.fromhex(manifest['root'])]
        for level in reversed(range(manifest['levels'])):
            ids = [child for page_id in ids for child in self.page(page_id, level)]
        size = manifest['size_bytes']
        parts = []
        for number in range(-(-size // self.block_size)):
            length = min(self.block_size, size - number * self.block_size)
            block = bytes(length) if ids[number] == ZERO_ID else self.blob(ids[number])
            assert len(block) == length
            parts.append(block)
        return b''.join(parts)

    def trailer(self, key):
        """Return (offset, head with ids) of every frame that a pack's trailer lists."""
        data = self.objects[key]
        magic, size, count, pack_id = struct.unpack('<8sII16s', data[-32:])
        assert (magic, self.pack_key(pack_id)) == (b'BSVCPKE1', key)
        start = len(data) - 32 - size
        plain = self.cipher('pack', pack_id).decrypt(
            struct.pack('<QI', start, 1), data[start:-32],
            pack_id + struct.pack('<Q', start) + b'trailer')
        found, at = [], 0
        while at < len(plain):
            offset, = struct.unpack_from('<I', plain, at)
            end = at + 16 + 32 * plain[at + 6]
            found.append((offset, plain[at + 4:end]))
            at = end
        assert len(found) == count
        return found


def objects_of(store):
    return {info.key: store.get(info.key) for info in store.list('')}


def golden_image():
    choose = random.Random(2026)
    blocks = [b'\x00' * BLOCK, choose.randbytes(64) * (BLOCK // 64), b'\x00' * BLOCK,
              choose.randbytes(BLOCK), choose.randbytes(32) * (BLOCK // 32)]
    return b''.join(blocks) + b'the end'


def write_golden():
    """Write ``golden/`` anew; for a new version of the format only."""
    store = MemoryStore()
    real = os.urandom
    os.urandom = lambda size: GOLDEN_MASTER if size == 32 else real(size)
    try:
        repository = Repository.create(store, PlainWrapper(), SMALL)
    finally:
        os.urandom = real
    image = golden_image()
    repository.archive(MemorySource(image), 'golden-1', facts={'name': 'first'}, workers=1)
    repository.archive(MemorySource(image + image), 'golden-2', parent_id='golden-1', workers=1)
    for key, data in objects_of(store).items():
        path = GOLDEN / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def golden():
    store = MemoryStore()
    for path in GOLDEN.rglob('*'):
        if path.is_file():
            store.put(str(path.relative_to(GOLDEN)), [path.read_bytes()])
    return store


def test_the_golden_repository_is_read(golden):
    repository = Repository.open(golden, PlainWrapper())
    assert engine.restored(repository, 'golden-1') == golden_image()
    assert engine.restored(repository, 'golden-2') == golden_image() * 2
    assert repository.show_manifest('golden-1').facts == {'name': 'first'}
    assert not repository.verify(full=True).problems
    # And found again: the ids have not changed.
    assert repository.archive(MemorySource(golden_image()), 'again').bytes_new == 0


def test_the_golden_repository_is_read_by_the_page(golden):
    reader = Reader(objects_of(golden), GOLDEN_MASTER)
    assert reader.check_value()
    assert reader.restore('golden-1') == golden_image()
    assert reader.restore('golden-2') == golden_image() * 2


@pytest.mark.parametrize('parameters', [
    SMALL, Parameters.of(32768, 'lz4'), Parameters.of(65536, 'zstd:3'),
    Parameters.of(131072, 'none')], ids=str)
def test_what_is_written_is_read_by_the_page(parameters):
    store = MemoryStore()
    repository = Repository.create(store, PlainWrapper(), parameters)
    choose = random.Random(1)
    image = engine.make_image(choose, 600, 1000)
    changed = engine.change_image(choose, image, 20)
    repository.archive(MemorySource(image), 'b1')
    repository.archive(MemorySource(changed), 'b2', parent_id='b1')
    wrapped = base64.b64decode(json.loads(store.get('config'))['key_slot']['wrapped'])
    master = bytes(byte ^ 0x55 for byte in wrapped[-32:])
    reader = Reader(objects_of(store), master)
    assert reader.check_value()
    assert reader.restore('b1') == image
    assert reader.restore('b2') == changed


def test_trailers_say_what_the_index_says():
    store = MemoryStore()
    repository = Repository.create(store, PlainWrapper(), SMALL)
    repository.archive(MemorySource(engine.make_image(random.Random(2), 100)), 'b1')
    wrapped = base64.b64decode(json.loads(store.get('config'))['key_slot']['wrapped'])
    reader = Reader(objects_of(store), bytes(byte ^ 0x55 for byte in wrapped[-32:]))
    found = {}
    for key in reader.objects:
        if key.startswith('packs/'):
            pack_id = pack.pack_id_of(key)
            for offset, head in reader.trailer(key):
                assert reader.objects[key][offset:offset + len(head)] == head
                for number in range(head[2]):
                    short = head[12 + 32 * number:28 + 32 * number]
                    size = len(head) + struct.unpack_from('<I', head, 8)[0]
                    found[short] = pack_id, offset, size, number
    assert found == reader.places


def test_no_nonce_is_used_twice():
    """Every frame and trailer has a place of its own under a key of its own."""
    store = MemoryStore()
    repository = Repository.create(store, PlainWrapper(), SMALL)
    image = engine.make_image(random.Random(3), 60)
    for number in range(3):
        repository.archive(MemorySource(image), f'b{number}')
    nonces = [data[8:20] for key, data in objects_of(store).items()
              if key.startswith('manifests/')]
    assert len(set(nonces)) == 3
    packs = [key for key in objects_of(store) if key.startswith('packs/')]
    assert len({pack.pack_id_of(key) for key in packs}) == len(packs) > 1


def test_a_document_opens_under_its_own_key_only():
    keys = Repository.create(MemoryStore(), PlainWrapper(), SMALL)._keys
    sealed = documents.seal(keys, 'manifests/a', {'x': 1})
    assert documents.unseal(keys, 'manifests/a', sealed) == {'x': 1}
    with pytest.raises(Exception, match='manifests/b'):
        documents.unseal(keys, 'manifests/b', sealed)
