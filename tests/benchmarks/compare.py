# SPDX-License-Identifier: Apache-2.0
"""Side-by-side comparison of this engine with cp, restic, borg and cinder-backup's posix driver.

A round of an engine on a case: make a repository; full = X1 as n1; incr = X2 as n2; same = X2
again as n3; restore n3 and compare it byte for byte with X2. Rounds of the engines alternate;
medians are reported. See ``doc/source/contributor/benchmarks.rst``.

Usage: ``python -m tests.benchmarks.compare run --volumes DIR --work DIR`` and
``python -m tests.benchmarks.compare show results.jsonl``.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STEPS = ('full', 'incr', 'same', 'restore')
FIGURES = ('wall', 'cpu', 'rss_mb', 'added')

#: (case, step) → engine → least ratio of (wall, CPU) to ours; None where only wall counts.
FLOORS: dict[tuple[str, str], dict[str, tuple[float, float | None]]] = {
    ('a', 'full'): {'cinder-zlib': (14, 14), 'restic': (3, 3), 'borg': (1.6, None)},
    ('a', 'incr'): {'cinder-zlib': (12, 12), 'restic': (6, 6), 'borg': (3.5, None)},
    ('a', 'same'): {'cinder-zlib': (7, 7), 'restic': (5, 5), 'borg': (5, None)},
    ('a', 'restore'): {'cinder-zlib': (13, 13), 'restic': (2.4, 2.4), 'borg': (3.5, None)},
    ('c', 'full'): {'cinder-zlib': (25, 25), 'restic': (5, 5), 'borg': (1, None)},
    ('c', 'restore'): {'cinder-zlib': (35, 35), 'restic': (9, 9), 'borg': (7, None)},
}
MAX_RSS_MB = 200
MAX_SIZE_OF_RESTIC = 0.75

Commands = dict[str, str]


def engines(cinder_python: str, ours: str) -> dict[str, Commands]:
    """Return the commands of every engine: bash, with the placeholders of ``_round``."""
    keys = '--repository {repo} --key-file {work}/key --cache-dir {work}/cache'
    restic = ('export RESTIC_PASSWORD=x RESTIC_CACHE_DIR={work}/cache; '
              'cd $(dirname {current}); ')
    found = {
        'cp': {
            'init': 'mkdir -p {repo}',
            'backup': 'cp --sparse=always {volume} {repo}/{name}; '
                      'find {repo} -type f ! -name {name} -delete',
            'restore': 'cp --sparse=always {repo}/{name} {out}'},
        'ours': {
            'init': f'{ours} repository init {keys}',
            'backup': f'{ours} repository archive {{volume}} --id {{name}} --parent {{parent}} '
                      + keys,
            # Nothing else here syncs what it restores.
            'restore': f'{ours} repository restore {{name}} {{out}} --no-sync {keys}'},
        'restic': {
            'init': restic + 'restic init -q -r {repo}',
            'backup': restic + 'restic backup -q -r {repo} --host h --tag {name} '
                               '$(basename {current})',
            'restore': restic + 'restic restore -q -r {repo} --target {work}/out --tag {name} '
                                'latest && mv $(find {work}/out -name volume.img) {out}'},
        # 0.14 cannot restore sparse files: it would write 20 GiB of zeros.
        'restic-dump': {
            'restore': restic + 'restic dump -q -r {repo} --tag {name} latest '
                                '/$(basename {current}) | '
                                'dd of={out} bs=1M conv=sparse iflag=fullblock status=none'},
        'borg-default': _borg(''),
        'borg-fixed-4m': _borg('--sparse --chunker-params fixed,4194304 -C zstd,1'),
    }
    for name in ('zlib', 'zstd'):
        driver = f'BENCH_CINDER_COMPRESSION={name} {cinder_python} -W ignore ' \
                 f'{shlex.quote(os.path.join(HERE, "cinder_driver.py"))}'
        found[f'cinder-{name}'] = {
            'init': 'mkdir -p {repo}',
            'backup': driver + ' backup {repo} {volume} {name} {parent}',
            'restore': driver + ' restore {repo} {name} {out}'}
    return found


def _borg(options: str) -> Commands:
    borg = ('export BORG_PASSPHRASE=x BORG_BASE_DIR={work}/borg '
            'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes; ')
    return {
        'init': borg + 'borg init -e repokey {repo}',
        'backup': borg + 'cd $(dirname {current}) && borg create --files-cache disabled '
                  f'{options} {{repo}}::{{name}} $(basename {{current}})',
        'restore': borg + 'mkdir -p {work}/out && cd {work}/out && borg extract --sparse '
                          '{repo}::{name} && mv $(basename {current}) {out}'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a comparison or show the results of one; 1 where something failed or a floor is missed.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest='verb', required=True)
    run = verbs.add_parser('run')
    run.add_argument('--volumes', required=True, help='made by tests.benchmarks.volumes')
    run.add_argument('--work', required=True, help='emptied; some 5 GB')
    run.add_argument('--rounds', type=int, default=3)
    run.add_argument('--cases', default='a,b,c')
    run.add_argument('--engines',
                     default='cp,ours,restic,borg-default,borg-fixed-4m,cinder-zlib,cinder-zstd')
    run.add_argument('--cinder-python', default='python3',
                     help='python of an environment with cinder in it')
    run.add_argument('--ours', default=f'{sys.executable} -m backupsvc.cmd.manage',
                     help='command that stands for backupsvc-manage')
    run.add_argument('--warm', type=int, default=4, metavar='GIB',
                     help='memory that is written to and freed again before each step')
    run.add_argument('--results', default='results.jsonl', help='appended to')
    show = verbs.add_parser('show')
    show.add_argument('results')
    args = parser.parse_args(argv)
    if args.verb == 'show':
        return _show(args.results)
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    commands = engines(args.cinder_python, args.ours)
    has_failed = False
    for case in args.cases.split(','):
        for number in range(args.rounds):
            for name in args.engines.split(','):
                chosen = dict(commands[name])
                if name == 'restic' and case == 'c':
                    chosen.update(commands['restic-dump'])
                figures = _round(case, chosen, os.path.abspath(args.volumes),
                                 os.path.join(os.path.abspath(args.work), name), args.warm)
                with open(args.results, 'a') as stream:
                    for step, row in figures.items():
                        stream.write(json.dumps({'case': case, 'engine': name, 'step': step,
                                                 'round': number, **row}) + '\n')
                has_failed |= not all(row['ok'] for row in figures.values())
                print(case, number, name, '  '.join(
                    f'{step} {row["wall"]:.2f}/{row["cpu"]:.2f}s {row["rss_mb"]}MB'
                    + ('' if row['ok'] else ' FAILED') for step, row in figures.items()),
                    flush=True)
    return max(_show(args.results), int(has_failed))


def _round(case: str, commands: Commands, volumes: str, work: str,
           warm_gib: int) -> dict[str, dict[str, Any]]:
    """Return the figures of the four steps."""
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(work, 'current'))
    places = {'repo': f'{work}/repo', 'work': work, 'out': f'{work}/out.img',
              'current': f'{work}/current/volume.img'}
    _execute(commands['init'].format(**places))
    figures = {}
    for step, generation, name, parent in (
            ('full', 1, 'n1', '-'), ('incr', 2, 'n2', 'n1'), ('same', 2, 'n3', 'n2')):
        volume = f'{volumes}/{case}{generation}.img'
        if os.path.lexists(places['current']):
            os.unlink(places['current'])
        os.link(volume, places['current'])
        os.sync()
        before = _disk_usage(places['repo'])
        _warm(warm_gib)
        row = _execute(commands['backup'].format(volume=volume, name=name, parent=parent,
                                                 **places))
        row['added'] = _disk_usage(places['repo']) - before
        figures[step] = row
    os.sync()
    _warm(warm_gib)
    row = _execute(commands['restore'].format(name='n3', **places))
    row['added'] = 0
    row['ok'] = row['ok'] and subprocess.call(
        ['cmp', '-s', places['out'], f'{volumes}/{case}2.img']) == 0
    figures['restore'] = row
    shutil.rmtree(work, ignore_errors=True)
    return figures


def _warm(gib: int) -> None:
    """Have the kernel hold free memory that the machine below it has given already.

    A virtual machine's free memory may go back to its host. The first write into it then takes
    longer than all that is measured here: copying a file took one second or five.
    """
    if not gib:
        return
    # In a process of its own: a child's largest resident set counts what its parent had.
    subprocess.run([sys.executable, '-c',
                    'import mmap, sys; mmap.mmap(-1, int(sys.argv[1]) << 30, '
                    'flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE)', str(gib)], check=True)


def _execute(command: str) -> dict[str, Any]:
    """Run a command; return wall and CPU seconds, with children, and the largest resident set."""
    # Without compiled modules a Python program would be measured while it compiles.
    environment = {name: value for name, value in os.environ.items()
                   if name != 'PYTHONDONTWRITEBYTECODE'}
    started = time.perf_counter()
    with subprocess.Popen(['bash', '-c', command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
                          env=environment) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode(errors='replace')
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    row = {'wall': time.perf_counter() - started, 'cpu': usage.ru_utime + usage.ru_stime,
           'rss_mb': usage.ru_maxrss // 1024, 'ok': process.returncode == 0}
    for line in output.splitlines():
        if line.startswith('BENCH '):
            row.update(json.loads(line[len('BENCH '):]))
    if not row['ok']:
        print(f'FAILED: {command}\n{output[-2000:]}', file=sys.stderr, flush=True)
    return row


def _disk_usage(directory: str) -> int:
    return sum(os.lstat(os.path.join(root, name)).st_blocks * 512
               for root, _, names in os.walk(directory) for name in names)


def _show(path: str) -> int:
    """Print medians, then the ratios to ours against their floors; 1 where one is missed."""
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    with open(path) as stream:
        for line in stream:
            row = json.loads(line)
            rows.setdefault((row['case'], row['step'], row['engine']), []).append(row)
    medians = {key: {figure: statistics.median(row[figure] for row in found)
                     for figure in FIGURES} for key, found in rows.items()}
    print('| case | step | engine | n | wall s | CPU s | RSS MB | added MB |')
    print('|---|---|---|---|---|---|---|---|')
    for key in sorted(rows, key=lambda key: (key[0], STEPS.index(key[1]), key[2])):
        case, step, name = key
        figures = medians[key]
        failed = '' if all(each['ok'] for each in rows[key]) else ' FAILED'
        print(f'| {case} | {step} | {name}{failed} | {len(rows[key])} | {figures["wall"]:.2f} '
              f'| {figures["cpu"]:.2f} | {figures["rss_mb"]:.0f} '
              f'| {figures["added"] / 1e6:.0f} |')
    print('\n| case | step | against | wall | CPU | floor |')
    print('|---|---|---|---|---|---|')
    missed = False
    for (case, step), floors in FLOORS.items():
        ours = medians.get((case, step, 'ours'))
        for name, (wall_floor, cpu_floor) in floors.items():
            other = _best(medians, case, step, name)
            if ours is None or other is None:
                continue
            wall, cpu = other['wall'] / ours['wall'], other['cpu'] / ours['cpu']
            is_missed = wall < wall_floor or (cpu_floor is not None and cpu < cpu_floor)
            missed |= is_missed
            print(f'| {case} | {step} | {name} | {wall:.1f} | {cpu:.1f} | {wall_floor}'
                  f'{" (wall)" if cpu_floor is None else ""}{" MISSED" if is_missed else ""} |')
    missed |= _show_limits(medians)
    return int(missed)


def _best(medians: dict[tuple[str, str, str], dict[str, float]], case: str, step: str,
          name: str) -> dict[str, float] | None:
    """Return an engine's medians; of several settings of it the better figure each time."""
    found = [row for key, row in medians.items()
             if key[:2] == (case, step) and (key[2] == name or key[2].startswith(f'{name}-'))]
    return {figure: min(row[figure] for row in found) for figure in FIGURES} if found else None


def _show_limits(medians: dict[tuple[str, str, str], dict[str, float]]) -> bool:
    largest = max((row['rss_mb'] for key, row in medians.items() if key[2] == 'ours'), default=0)
    missed = largest > MAX_RSS_MB
    print(f'\nLargest resident set of ours: {largest:.0f} MB of {MAX_RSS_MB}'
          f'{" MISSED" if missed else ""}')
    sizes = {name: sum(medians[('a', step, name)]['added'] for step in ('full', 'incr'))
             for name in ('ours', 'restic') if ('a', 'full', name) in medians}
    if len(sizes) == 2:
        share = sizes['ours'] / sizes['restic']
        is_missed = share > MAX_SIZE_OF_RESTIC
        missed |= is_missed
        print(f'Case a, full + incremental: {share:.2f} of the size of restic\'s repository, '
              f'at most {MAX_SIZE_OF_RESTIC}{" MISSED" if is_missed else ""}')
    return missed


if __name__ == '__main__':
    sys.exit(main())
