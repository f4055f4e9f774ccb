# SPDX-License-Identifier: Apache-2.0
"""A database of some 100 MB like that of a film rental shop, backed up while customers pay, and
what another server has of it: every table is compared.
"""

import threading

import pytest

from tests.fixtures.database_service import ended
from tests.fixtures.service import wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group('mariadb_service'),
              pytest.mark.timeout(600)]

SHOP = 'rental_shop'
MIB = 1 << 20

#: Tables in an order in which they may refer to each other, and what fills them; nobody writes
#: to these while they are backed up.
STATIC = {
    'language': ('id INT PRIMARY KEY, name CHAR(20) NOT NULL',
                 "SELECT seq, CONCAT('language ', seq) FROM seq_1_to_6"),
    'actor': ('id INT PRIMARY KEY, first_name VARCHAR(45), last_name VARCHAR(45), '
              'changed TIMESTAMP NOT NULL DEFAULT \'2006-02-15 04:34:33\', KEY (last_name)',
              "SELECT seq, MD5(seq), SHA1(seq), '2006-02-15 04:34:33' FROM seq_1_to_2000"),
    'film': ('id INT PRIMARY KEY, title VARCHAR(128) NOT NULL, description TEXT, year YEAR, '
             'language_id INT NOT NULL, rate DECIMAL(4,2), length SMALLINT, '
             "rating ENUM('G','PG','R'), features SET('Trailers','Commentaries','Scenes'), "
             'KEY (title), CONSTRAINT film_language FOREIGN KEY (language_id) '
             'REFERENCES language (id) ON UPDATE CASCADE',
             "SELECT seq, CONCAT('film ', MD5(seq)), REPEAT(SHA2(seq, 512), 8), 1990 + seq % 30, "
             "1 + seq % 6, seq % 10 + 0.99, 60 + seq % 120, 1 + seq % 3, 1 + seq % 7 "
             'FROM seq_1_to_10000'),
    'film_actor': ('actor_id INT, film_id INT, PRIMARY KEY (actor_id, film_id), KEY (film_id), '
                   'FOREIGN KEY (actor_id) REFERENCES actor (id), '
                   'FOREIGN KEY (film_id) REFERENCES film (id)',
                   'SELECT 1 + a.seq % 2000, 1 + (a.seq DIV 2000 * 37 + a.seq) % 10000 '
                   'FROM seq_1_to_20000 a'),
    'poster': ('film_id INT PRIMARY KEY, picture LONGBLOB NOT NULL, '
               'FOREIGN KEY (film_id) REFERENCES film (id) ON DELETE CASCADE',
               'SELECT seq, UNHEX(REPEAT(SHA2(seq, 512), 512 + seq % 64)) FROM seq_1_to_2600'),
    'film_text': ('film_id INT PRIMARY KEY, title VARCHAR(255), description TEXT, '
                  'FULLTEXT KEY words (title, description)',
                  "SELECT seq, CONCAT('film ', seq), CONCAT('a tale of ', MD5(seq % 500)) "
                  'FROM seq_1_to_3000'),
    'customer': ('id INT PRIMARY KEY, name VARCHAR(90) NOT NULL, email VARCHAR(120), '
                 'place POINT NOT NULL, active BOOLEAN, SPATIAL KEY (place), UNIQUE KEY (email)',
                 "SELECT seq, SHA1(seq), CONCAT(MD5(seq), '@example.org'), "
                 'POINT(seq % 90, seq % 180), seq % 3 = 0 FROM seq_1_to_8000'),
    'inventory': ('id INT PRIMARY KEY, film_id INT NOT NULL, notes VARCHAR(200), '
                  'FOREIGN KEY (film_id) REFERENCES film (id)',
                  'SELECT seq, 1 + seq % 10000, REPEAT(MD5(seq), 4) FROM seq_1_to_40000'),
}
#: Every transaction of the cashier adds one row to each of the first two and counts it in the
#: third; all of their values follow from their number.
WRITTEN = {
    'rental': 'id INT PRIMARY KEY, inventory_id INT NOT NULL, customer_id INT NOT NULL, '
              'slip VARBINARY(2000), FOREIGN KEY (inventory_id) REFERENCES inventory (id), '
              'FOREIGN KEY (customer_id) REFERENCES customer (id)',
    'payment': 'id INT PRIMARY KEY, rental_id INT NOT NULL, amount DECIMAL(9,2), note TEXT, '
               'FOREIGN KEY (rental_id) REFERENCES rental (id)',
    'till': 'id INT PRIMARY KEY, payments INT NOT NULL, total DECIMAL(12,2) NOT NULL',
}
FURTHER = (
    'CREATE VIEW earned AS SELECT SUM(amount) AS total, COUNT(*) AS payments FROM payment',
    'CREATE TRIGGER paid AFTER INSERT ON payment FOR EACH ROW '
    'UPDATE till SET payments = payments + 1, total = total + NEW.amount WHERE id = 1',
    'CREATE FUNCTION price(number INT) RETURNS DECIMAL(9,2) DETERMINISTIC '
    'RETURN number % 900 + 0.99',
)


class Session:
    """A connection to an instance's server as root."""

    def __init__(self, databases, instance, password):
        self._connection = databases.connect(instance, 'root', password)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._connection.close()

    def __call__(self, statement, *values):
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    def use(self):
        self(f'USE {SHOP}')
        return self


class Cashier:
    """Takes money as long as the block lasts; ``count`` transactions are committed for certain."""

    def __init__(self, session, count=0):
        self._session = session
        self._is_over = threading.Event()
        self._trouble = None
        self._thread = threading.Thread(target=self._work)
        self.count = count

    def _work(self):
        try:
            while not self._is_over.is_set():
                self._sell(self.count + 1)
                self.count += 1
        except BaseException as trouble:
            self._trouble = trouble

    def _sell(self, number):
        ask = self._session
        ask('BEGIN')
        ask('INSERT INTO rental SELECT %s, 1 + %s %% 40000, 1 + %s %% 8000, '
            'REPEAT(SHA1(%s), %s %% 50)', number, number, number, number, number)
        ask('INSERT INTO payment SELECT %s, %s, price(%s), SHA2(%s, 256)',
            number, number, number, number)
        ask('COMMIT')

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._is_over.set()
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble


def _fill(ask):
    ask(f'CREATE DATABASE {SHOP} CHARACTER SET utf8mb4')
    ask.use()
    for table, (columns, rows) in STATIC.items():
        ask(f'CREATE TABLE {table} ({columns})')
        ask(f'INSERT INTO {table} {rows}')
    for table, columns in WRITTEN.items():
        ask(f'CREATE TABLE {table} ({columns})')
    ask('INSERT INTO till VALUES (1, 0, 0)')
    for statement in FURTHER:
        ask(statement)


def _bytes(ask):
    """Return the size of the tablespaces, fresh from the file system."""
    [(size,)] = ask('SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces '
                    'WHERE name LIKE %s', f'{SHOP}/%')
    return int(size)


def _static(ask):
    return ask(f'CHECKSUM TABLE {", ".join(STATIC)} EXTENDED')


def _written(ask, count):
    """Return what the first ``count`` transactions have left, as one line for each table."""
    ask('SET SESSION group_concat_max_len = 1048576')
    found = [ask(f"""SELECT COUNT(*), MIN(id), MAX(id),
                 SHA2(GROUP_CONCAT(SHA1(CONCAT_WS('|', {columns})) ORDER BY id), 256)
                 FROM {table} WHERE id <= %s""", count)
             for table, columns in (
                 ('rental', 'id, inventory_id, customer_id, HEX(slip)'),
                 ('payment', 'id, rental_id, amount, note'))]
    return [*found, ask('SELECT COUNT(*), SUM(amount) FROM payment WHERE id <= %s', count)]


@pytest.fixture
def shop(databases):
    """An instance with the shop's database, gone afterwards; (instance, password of root)."""
    client = databases.client()
    made = client.instances.create('shop', 1, {'size': 1})
    instance = databases.settled(made.id)
    assert instance.status == 'ACTIVE'
    yield instance, client.root.create(made.id)[1]
    client.instances.delete(made.id)


def test_every_table_comes_back_though_the_shop_is_open(databases, shop):
    instance, password = shop
    client = databases.client()
    with (Session(databases, instance, password) as ask,
          Session(databases, instance, password) as till):
        _fill(ask)
        assert _bytes(ask) > 100 * MIB
        expected = _static(ask)
        with Cashier(till.use()) as cashier:
            wait_until(lambda: cashier.count > 200)
            before = cashier.count
            made = client.backups.create('open', instance.id)
            backup = wait_until(lambda: ended(client.backups.get(made.id)))
            after = cashier.count
            wait_until(lambda: cashier.count > after)
        assert backup.status == 'COMPLETED'
        assert before < after
        restored = databases.settled(client.instances.create(
            'reopened', 1, {'size': 1}, restorePoint={'backupRef': backup.id}).id)
        assert (restored.status, getattr(restored, 'fault', None)) == ('ACTIVE', None)
        # what was in the server is there with it: root's account too
        with Session(databases, restored, password) as copy:
            copy.use()
            assert _static(copy) == expected
            [(count, total)] = copy('SELECT payments, total FROM till')
            # nothing of before the request is missing; one that commits as the backup ends may
            # be counted here a moment later
            assert before <= count <= after + 1
            assert _written(copy, count) == _written(ask, count)
            for table in ('rental', 'payment'):
                assert copy(f'SELECT COUNT(*) FROM {table}') == ((count,),)
            assert copy('SELECT total, payments FROM earned') == ((total, count),)
            _check_whole(copy)
            with Cashier(copy, count) as second:
                wait_until(lambda: second.count > count + 10)
    client.instances.delete(restored.id)
    client.backups.delete(backup.id)


def _check_whole(ask):
    """Let the server look at every page, and hold its constraints."""
    for _, _, kind, text in ask(f'CHECK TABLE {", ".join([*STATIC, *WRITTEN])} EXTENDED'):
        assert (kind, text) == ('status', 'OK')
    [(keys,)] = ask('SELECT COUNT(*) FROM information_schema.referential_constraints '
                    'WHERE constraint_schema = %s', SHOP)
    assert keys == 8
    [(orphans,)] = ask('SELECT COUNT(*) FROM payment LEFT JOIN rental ON rental.id = rental_id '
                       'WHERE rental.id IS NULL')
    assert orphans == 0
