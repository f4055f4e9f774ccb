# SPDX-License-Identifier: Apache-2.0
"""Who may connect to a server: rules of the kernel, or a proxy before it.

Both let in the addresses of the allowed networks, refuse others at once, and cut connections that
were allowed and are no more.
"""

import abc
import contextlib
import ipaddress
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Sequence

from backupsvc import exception
from backupsvc.drivers.database.mariadb import processes
from backupsvc.drivers.database.mariadb.records import Record

_TIMEOUT_S = 10
_POLL_S = 0.02

#: What "none" can do.
_EVERYWHERE = (['0.0.0.0/0'], ['0.0.0.0/0', '::/0'])


def choose(wanted: str) -> str:
    """Return the name of the filter for a new server on this host.

    :param wanted: the option
    :raises DriverFailed: there is none, with the package to install
    """
    if wanted == 'auto':
        if _can_use_nftables():
            return 'nftables'
        wanted = 'haproxy'
    if wanted == 'nftables':
        processes.find('nft')
        if not _can_use_nftables():
            raise exception.DriverFailed(
                reason='This process may not use nftables: let it run as root or set '
                       '[database_mariadb] connection_filter = haproxy.')
    elif wanted == 'haproxy':
        processes.find('haproxy')
    return wanted


def normal(cidrs: Collection[str]) -> list[str]:
    """Return networks in one form, none inside another; host bits are cut off.

    :raises InvalidInput: one is no network
    """
    networks: dict[int, list] = {4: [], 6: []}
    for cidr in cidrs:
        try:
            network = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            raise exception.InvalidInput(reason=f'{cidr} is not a CIDR') from None
        networks[network.version].append(network)
    return [str(network) for version in (4, 6)
            for network in ipaddress.collapse_addresses(networks[version])]


class Filter(abc.ABC):
    """The filter of one server.

    :ivar is_proxy: clients come through the server's socket; it opens no port itself
    """

    is_proxy = False

    def __init__(self, record: Record, directory: pathlib.Path, bind_address: str):
        self._record = record
        self._directory = directory
        self._bind_address = bind_address

    def check(self, cidrs: Sequence[str]) -> None:  # noqa: B027 - most can do all
        """Raise InvalidInput for networks that this filter cannot tell apart."""

    @abc.abstractmethod
    def before_start(self) -> None:
        """Have the rules in force before the server listens."""

    @abc.abstractmethod
    def after_start(self) -> None:
        """Let clients in, once the server answers."""

    @abc.abstractmethod
    def change(self) -> None:
        """Put the record's rules in force for a server that may run."""

    @abc.abstractmethod
    def after_stop(self) -> None:
        """Let no client in."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Leave nothing of the rules."""


class NoFilter(Filter):
    """Lets everybody in; refuses other rules rather than ignoring them."""

    def check(self, cidrs: Sequence[str]) -> None:
        if list(cidrs) not in _EVERYWHERE:
            raise exception.InvalidInput(
                reason='connections cannot be filtered here; only 0.0.0.0/0 can be allowed')

    def before_start(self) -> None:
        pass

    def after_start(self) -> None:
        pass

    def change(self) -> None:
        pass

    def after_stop(self) -> None:
        pass

    def remove(self) -> None:
        pass


class NftablesFilter(Filter):
    """A table of the kernel's own for each server."""

    @property
    def _table(self) -> str:
        return f'inet backupsvc_{self._record.id.replace("-", "_")}'

    def before_start(self) -> None:
        to = f'tcp dport {self._record.port}'
        address = ipaddress.ip_address(self._bind_address)
        families = {'ip': '.', 'ip6': ':'}
        if not address.is_unspecified:
            family = 'ip' if address.version == 4 else 'ip6'
            families = {family: families[family]}
            to = f'{family} daddr {address} {to}'
        rules = []
        for family, separator in families.items():
            networks = [cidr for cidr in self._record.allowed if separator in cidr]
            if networks:
                rules.append(f'{to} {family} saddr {{ {", ".join(networks)} }} accept')
        rules.append(f'{to} reject with tcp reset')
        _nft('\n'.join([
            f'table {self._table}', f'delete table {self._table}', f'table {self._table} {{',
            'chain input {', 'type filter hook input priority filter; policy accept;', *rules,
            '}', '}', '']))

    def after_start(self) -> None:
        pass

    def change(self) -> None:
        self.before_start()

    def after_stop(self) -> None:
        pass

    def remove(self) -> None:
        _nft(f'table {self._table}\ndelete table {self._table}\n')


class HaproxyFilter(Filter):
    """A process of HAProxy for each server.

    It tells the server the address of the client (PROXY protocol), so that the host part of users
    means what it says. It reaches the server by its socket, which nobody else can.
    """

    is_proxy = True

    @property
    def _config(self) -> pathlib.Path:
        return self._directory / 'haproxy.cfg'

    @property
    def _list(self) -> pathlib.Path:
        return self._directory / 'allowed.lst'

    @property
    def _control(self) -> pathlib.Path:
        return self._directory / 'run' / 'haproxy.sock'

    def before_start(self) -> None:
        self._write_list()

    def after_start(self) -> None:
        if processes.running(str(self._config), self._record.uid):
            self.change()
            return
        address = self._bind_address
        self._config.write_text(
            'global\n'
            f'  stats socket "{self._control}" mode 600 level admin\n'
            'defaults\n'
            '  mode tcp\n'
            '  timeout connect 10s\n'
            # the server's own limit of idle connections comes first
            '  timeout client 2d\n'
            '  timeout server 2d\n'
            '  option clitcpka\n'
            'frontend clients\n'
            f'  bind {f"[{address}]" if ":" in address else address}:{self._record.port}\n'
            f'  tcp-request connection reject unless {{ src -f "{self._list}" }}\n'
            '  default_backend servers\n'
            'backend servers\n'
            f'  server server "unix@{self._directory}/run/mariadb.sock" send-proxy-v2\n')
        self._config.chmod(0o644)
        with open(self._directory / 'haproxy.log', 'wb') as log:
            process = processes.spawn(
                processes.command('haproxy', '-db', '-f', str(self._config),
                                  uid=self._record.uid),
                output=log)
        self._await(process)

    def change(self) -> None:
        self._write_list()
        if not processes.running(str(self._config), self._record.uid):
            return
        shown = [line.split() for line in self._ask(f'show acl {self._list}').splitlines()]
        known = {words[1] for words in shown if len(words) > 1}
        wanted = set(self._record.allowed)
        for cidr in sorted(wanted - known):
            self._ask(f'add acl {self._list} {cidr}')
        for cidr in sorted(known - wanted):
            self._ask(f'del acl {self._list} {cidr}')
        self._cut()

    def after_stop(self) -> None:
        processes.end(str(self._config), self._record.uid, timeout_s=0)

    def remove(self) -> None:
        self.after_stop()

    def _cut(self) -> None:
        """End the connections of clients that are not allowed."""
        networks = [ipaddress.ip_network(cidr) for cidr in self._record.allowed]
        for line in self._ask('show sess').splitlines():
            session, _, rest = line.partition(':')
            fields = dict(word.partition('=')[::2] for word in rest.split())
            if fields.get('fe') != 'clients':
                continue
            source = ipaddress.ip_address(fields['src'].rpartition(':')[0].strip('[]'))
            if not any(source in network for network in networks):
                self._ask(f'shutdown session {session}')

    def _write_list(self) -> None:
        self._list.write_text(''.join(f'{cidr}\n' for cidr in self._record.allowed))
        self._list.chmod(0o644)

    def _ask(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_TIMEOUT_S)
                connection.connect(str(self._control))
                connection.sendall(command.encode() + b'\n')
                answer = b''
                while data := connection.recv(65536):
                    answer += data
        except OSError as error:
            raise exception.DriverFailed(
                reason=f'The proxy of instance {self._record.id} does not answer.') from error
        return answer.decode(errors='replace')

    def _await(self, process: subprocess.Popen) -> None:
        give_up_at = time.monotonic() + _TIMEOUT_S
        while True:
            with contextlib.suppress(exception.DriverFailed):
                self._ask('show info')
                return
            if process.poll() is not None or time.monotonic() > give_up_at:
                processes.end(str(self._config), self._record.uid, timeout_s=0)
                text = (self._directory / 'haproxy.log').read_text(errors='replace')
                raise exception.DriverFailed(
                    reason=f'The proxy of the server did not start: {processes.last_line(text)}')
            time.sleep(_POLL_S)


FILTERS: dict[str, Callable[[Record, pathlib.Path, str], Filter]] = {
    'nftables': NftablesFilter, 'haproxy': HaproxyFilter, 'none': NoFilter}


def _can_use_nftables() -> bool:
    if not processes.is_root() or not processes.is_installed('nft'):
        return False
    with contextlib.suppress(exception.DriverFailed):
        # made and taken away at once; listing tells nothing where the kernel lacks the hook
        _nft('table inet backupsvc_probe {\nchain input {\n'
             'type filter hook input priority filter; policy accept;\n'
             'tcp dport 1 ip saddr { 192.0.2.0/24 } reject with tcp reset\n}\n}\n'
             'delete table inet backupsvc_probe\n')
        return True
    return False


def _nft(script: str) -> None:
    processes.run([processes.find('nft'), '-f', '-'], text=script,
                  what='The rules of the security group could not be set')
