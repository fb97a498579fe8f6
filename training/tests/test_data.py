"""Tests of `training/data`: offline, on texts made here. Run from the repository's root: `python -m pytest training/tests`."""

import gzip
import io
import json
import random
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data import build, fetch, licence, share
from data.benchmarks import BenchmarkOverlap, BenchmarkTexts, assertNone
from data.clean import decode, isTest, reasonToDrop
from data.neardup import NearDuplicates, Signatures
from data.sources import LANGUAGES, SPLITS, Source, SourceError, readSources
from data.unpack import languageOf, unpack

LIST = Path(__file__).resolve().parent.parent / 'data' / 'sources.tsv'
# The packages of test/bench/fetchFiles.sh, on which figures are reported (`test`) and settings fitted (`fit`).
REPORTED = 'attrs werkzeug poetry-core aiohttp pendulum marshmallow @noble/hashes effect ts-pattern @scure/base koa fastify ws eslint commander'
FITTED = 'httpx rich tornado pluggy starlette @noble/curves rxjs @trpc/server express mocha undici'


def source(registry='pypi', package='sample', version='1.0', languages=('python',), expected='MIT', split='train') -> Source:
    return Source(split, registry, package, version, languages, expected)


def code(seed: int, functions: int = 30) -> str:
    """Python of made-up names, unlike that of another seed; 1–2 kB."""
    made = random.Random(seed)

    def name() -> str:
        return ''.join(made.choices('abcdefghijklmnopqrstuvwxyz', k=7))

    return ''.join(f'def {name()}({name()}):\n    return {name()}({name()}, {name()})\n\n' for _ in range(functions))


# The list


def test_list_is_readable_and_keeps_the_benchmarks_packages_out_of_train():
    sources = readSources(LIST)
    splits = {one.package: one.split for one in sources}
    assert [splits[package] for package in REPORTED.split()] == ['test'] * 15
    assert [splits[package] for package in FITTED.split()] == ['valid'] * 11
    assert all(licence.isPermissive(one.licence) for one in sources)
    for split in SPLITS:
        assert {language for one in sources if one.split == split for language in one.languages} == set(LANGUAGES)


@pytest.mark.parametrize(
    'lines, message',
    [
        ('train\tpypi\ta\t1\tpython', '6 cells separated by tabs wanted, 5 found'),
        ('train\tcargo\ta\t1\trust\tMIT', 'unknown split, registry or language'),
        ('train\tpypi\ta\t1\tpython\tMIT\ntest\tpypi\ta\t2\tpython\tMIT', 'a package has one split'),
        ('train\tpypi\ta\t1\tpython\tMIT\ntrain\tpypi\ta\t1\tpython\tMIT', 'listed twice'),
    ],
)
def test_list_with_a_mistake_is_refused(tmp_path, lines, message):
    (tmp_path / 'sources.tsv').write_text(lines + '\n')
    with pytest.raises(SourceError, match=message):
        readSources(tmp_path / 'sources.tsv')


# Licences


@pytest.mark.parametrize(
    'metadata, found',
    [
        ('License-Expression: MIT\nLicense: GPL\n', 'MIT'),
        ('License: Apache License 2.0\n', 'Apache-2.0'),
        ('Classifier: License :: OSI Approved :: BSD License\n', 'BSD'),
        ('License: Copyright 2020 somebody\nClassifier: License :: OSI Approved :: MIT License\n', 'MIT'),
        ('License: GPL-3.0-or-later\n', 'GPL-3.0-or-later'),
        ('Name: silent\n', ''),
    ],
)
def test_licence_of_a_pypi_package(metadata, found):
    assert licence.pypiLicence(metadata) == found


@pytest.mark.parametrize(
    'package, found',
    [
        ({'license': 'MIT'}, 'MIT'),
        ({'license': '(MIT OR Apache-2.0)'}, 'Apache-2.0 OR MIT'),
        ({'license': {'type': 'BSD-3-Clause'}}, 'BSD-3-Clause'),
        ({'licenses': [{'type': 'MIT'}, {'type': 'GPL-2.0'}]}, 'GPL-2.0 OR MIT'),
        ({}, ''),
    ],
)
def test_licence_of_an_npm_package(package, found):
    assert licence.npmLicence(json.dumps(package)) == found


COPYRIGHT = """Format: 1.0

Files: *
Copyright: 2020 Somebody
License: Expat

Files: src/borrowed/*
 src/old.c
Copyright: 2001 Somebody Else
License: GPL-2+

Files: src/borrowed/free.c
Copyright: 2002 Third
License: BSD-3-clause or GPL-2+

License: Expat
 Permission is hereby granted ...
"""


def test_licences_in_debian_are_per_file_and_the_last_pattern_wins():
    paths = ['main.c', 'src/old.c', 'src/borrowed/one.c', 'src/borrowed/free.c']
    whole, each = licence.licencesOf(source('debian'), COPYRIGHT, paths)
    assert whole == 'MIT'
    assert [licence.isPermissive(each[path]) for path in paths] == [True, False, False, True]


def test_built_debian_package_takes_a_copyleft_file_for_itself_in_another_folder():
    _, each = licence.licencesOf(source('debian-binary'), COPYRIGHT, ['usr/share/sample/old.c', 'usr/share/sample/new.c'])
    assert each == {'usr/share/sample/old.c': 'GPL-2+', 'usr/share/sample/new.c': 'MIT'}


def test_debian_statement_that_no_machine_can_read_is_refused():
    with pytest.raises(SourceError, match='not machine-readable'):
        licence.licencesOf(source('debian'), 'This package was debianized by ...', [])


@pytest.mark.parametrize('expression', ['MIT', 'MIT OR GPL-3.0', 'Apache-2.0 AND MIT', 'Expat and BSD-3-clause', 'MIT/X11'])
def test_permissive(expression):
    assert licence.isPermissive(expression)


@pytest.mark.parametrize('expression', ['', 'GPL-3.0', 'MIT AND GPL-2.0', 'MPL-2.0', 'LGPL-2.1+', 'BSD-4-clause', 'Proprietary'])
def test_not_permissive(expression):
    assert not licence.isPermissive(expression)


def test_refusal_says_wanted_found_and_what_to_do():
    with pytest.raises(SourceError, match='wanted MIT, the package says "GPL-3.0".*take it off the list'):
        licence.checkLicence(source(), 'GPL-3.0')
    with pytest.raises(SourceError, match='wanted MIT, the package says "ISC".*correct the list'):
        licence.checkLicence(source(), 'ISC')
    licence.checkLicence(source(expected='BSD-3-Clause'), 'BSD')  # PyPI's classifier names no clause count


@pytest.mark.parametrize(
    'head',
    [
        '# This program is free software under the terms of the GNU General\n# Public License as published',
        '/* SPDX-License-Identifier: LGPL-2.1-or-later */',
        ';; under the Mozilla Public License, v. 2.0',
        '// GNU Affero General Public License',
    ],
)
def test_copyleft_head_is_seen_across_lines_and_comment_signs(head):
    assert licence.isCopyleftHead(head + '\n' + 'x = 1\n' * 100)
    assert not licence.isCopyleftHead('# MIT License\n' + 'x = 1\n' * 1000 + head)


# Cleaning


@pytest.mark.parametrize(
    'path, text, reason',
    [
        ('a/core.py', code(1), None),
        ('a/core.py', 'x = 1\n', 'size'),
        ('a/core.py', code(1, 4000), 'size'),
        ('a/_vendor/core.py', code(1), 'vendored'),
        ('a/third_party/core.py', code(1), 'vendored'),
        ('a/testdata/core.py', code(1), 'data folder'),
        ('a/core.py', '# Code generated by a tool. DO NOT EDIT.\n' + code(1), 'generated'),
        ('a/core.py', code(1).replace('\n', ';'), 'long lines'),
        ('a/core.py', code(1) + 'TABLE = [\n' + '    123456789, 123456789, 123456789,\n' * 200 + ']\n', 'digits'),
        ('a/core.py', code(1, 5) + 'element.append(thing)\n' * 100, 'repeated line'),
        ('a/core.py', code(1) + '!@#$%^&*()\n' * 300, 'few letters'),
    ],
)
def test_python_file(path, text, reason):
    assert reasonToDrop('python', path, text) == reason


@pytest.mark.parametrize(
    'path, head, reason',
    [
        ('lib/core.js', '', None),
        (
            'lib/core.js',
            'const PAGE = `' + '\n'.join(f'<p>paragraph {chr(97 + n % 26) * 9}</p>' for n in range(300)) + '`\n',
            'one literal',
        ),
        ('dist/core.js', '', 'built'),
        ('lib/core.min.js', '', 'built'),
        ('lib/core.js', 'Object.defineProperty(exports, "__esModule", { value: true })\n', 'compiled'),
    ],
)
def test_javascript_file(path, head, reason):
    assert reasonToDrop('javascript', path, head + code(1)) == reason


def test_decode_gives_unix_lines_or_nothing():
    assert decode(b'\xef\xbb\xbfa = 1\r\nb = 2\r\n\r\n') == 'a = 1\nb = 2\n'
    assert decode(b'caf\xe9 = 1\n') is None
    assert decode(b'a = 1\0\n') is None


def test_languages_by_ending_and_by_first_line():
    assert languageOf('src/index.ts', b'') == 'typescript'
    assert languageOf('src/index.d.ts', b'') is None
    assert languageOf('a.pyi', b'') is None
    assert languageOf('bin/run', b'#!/usr/bin/env bash\necho\n') == 'shell'
    assert languageOf('Completion/_git', b'#compdef git\n') == 'shell'
    assert languageOf('bin/run', b'#!/usr/bin/env python\n') is None


def test_tests_are_known_by_their_path():
    assert isTest('pkg/tests/base.py') and isTest('pkg/test_core.py') and isTest('core_test.go') and isTest('src/a.spec.ts')
    assert not isTest('pkg/testing_tools.py') and not isTest('pkg/latest.py') and not isTest('src/contest/a.ts')


# Near-duplicates


def test_near_duplicates_are_found_and_others_are_not():
    signatures, twins = Signatures(), NearDuplicates()
    text = code(1, 100)
    assert twins.add('first', signatures.of(text)) is None
    edited = text.replace('return', 'yield', 5)
    assert twins.add('edited', signatures.of(edited)) == 'first'
    assert twins.add('respaced', signatures.of(text.replace('    ', '\t'))) == 'first'
    assert twins.add('other', signatures.of(code(2, 100))) is None
    half = '\n\n'.join(text.split('\n\n')[:50]) + code(3, 50)  # Jaccard index about 1/3
    assert twins.add('half', signatures.of(half)) is None


def test_signatures_estimate_the_jaccard_index():
    signatures = Signatures()
    words = [f'w{number}' for number in range(3000)]
    one, other = signatures.of(' '.join(words[:2000])), signatures.of(' '.join(words[500:2500]))
    # 1496 shingles shared of 2496; three standard deviations of the mean of 128 draws.
    assert abs((one == other).mean() - 1496 / 2496) < 0.13


def test_signature_is_the_same_in_every_process():
    assert Signatures().of('a b c d e f')[:3].tolist() == [1974815377, 281874781, 243911524]


# Benchmarks

PROBLEM = {
    'entry_point': 'widest_gap',
    'prompt': 'def widest_gap(heights):\n    """Return the widest gap between neighbouring heights after they have been ordered."""\n',
    'solution': '    ordered = sorted(heights)\n    pairs = zip(ordered, ordered[1:])\n'
    '    return max((upper - lower for lower, upper in pairs), default=0)\n',
}
SHORT = {
    'entry_point': 'squares_of',
    'prompt': 'def squares_of(values):\n',
    'solution': '    return [value * value for value in values]\n',
}


def test_planted_solution_is_found_also_reformatted_and_in_a_comment():
    texts = BenchmarkTexts([PROBLEM, SHORT])
    assert texts.overlap(code(1)) is None
    assert texts.overlap(code(1) + PROBLEM['prompt'] + PROBLEM['solution'] + code(2))
    assert texts.overlap('ORDERED = Sorted( heights ); pairs=zip(ordered,ordered[1:])\n# return MAX(upper, lower for lower)')
    assert (
        texts.overlap('// Return the widest gap between neighbouring heights\n// after they were ordered') is None
    )  # nine words
    assert texts.overlap('// Return the widest gap between neighbouring heights\n// after they have been ordered')
    assert texts.overlap('squares_of = lambda values: 1\nreturn [value * value for value in values]') is None
    assert texts.overlap('def squares_of():\n    return [value * value for value in values]')


def test_trivial_code_is_no_overlap():
    loops = 'for i in range(len(a)):\n    for j in range(len(a)):\n        if a[i] == b[j]: return True\n'
    problem = {'entry_point': 'f', 'prompt': 'def f(a, b):\n', 'solution': loops}
    assert BenchmarkTexts([problem, PROBLEM]).overlap(loops) is None


def test_written_corpus_with_a_benchmark_text_fails_loudly(tmp_path):
    texts = BenchmarkTexts([PROBLEM])
    row = {'language': 'python', 'package': 'sample', 'path': 'a.py', 'text': code(1)}
    (tmp_path / 'train.jsonl').write_text(json.dumps(row) + '\n')
    assert assertNone(texts, [tmp_path / 'train.jsonl']) == 1
    row['text'] += PROBLEM['solution']
    (tmp_path / 'train.jsonl').write_text(json.dumps(row) + '\n')
    with pytest.raises(BenchmarkOverlap, match='train.jsonl: sample a.py holds "ordered sorted heights'):
        assertNone(texts, [tmp_path / 'train.jsonl'])


# Sharing out


def file(package: str, size: int, path: str = 'a.py', language: str = 'python') -> share.File:
    return share.File('train', language, package, path, 'x' * size, 'MIT')


def test_largest_packages_are_brought_to_one_height():
    files = [file('small', 10)] + [file('large', 10, f'{number}.py') for number in range(10)]
    chosen = share.level(files, 60)
    assert [sum(one.package == package for one in chosen) for package in ('small', 'large')] == [1, 5]


def test_a_package_gives_less_of_the_languages_that_are_cut_most():
    files = [file('a', 100_000, f'{n}.{language}', language) for n in range(30) for language in ('python', 'go')]
    chosen = share.limit(files)
    assert [sum(one.language == language for one in chosen) for language in ('python', 'go')] == [25, 15]


def test_tests_get_a_limited_share():
    files = [file('p', 100, f'{number}.py') for number in range(17)] + [
        file('p', 100, f'tests/{number}.py') for number in range(17)
    ]
    chosen = share.shareOut(files)
    assert [sum(isTest(one.path) == wanted for one in chosen) for wanted in (False, True)] == [17, 3]


# The whole, from archives made here


def test_client_commands_pin_the_version_and_run_nothing_of_the_package():
    assert fetch.commandOf(source('npm', '@a/b'))[-2:] == ['--ignore-scripts', '@a/b@1.0']
    assert {'--no-deps', ':all:', 'sample==1.0'} <= set(fetch.commandOf(source()))
    assert fetch.commandOf(source('debian'))[:4] == ['apt-get', 'source', '-qq', '--download-only']


def wheel(folder: Path, files: dict[str, str], said: str = 'License: MIT') -> None:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'sample-1.0-py3-none-any.whl', 'w') as archive:
        archive.writestr('sample-1.0.dist-info/METADATA', f'Name: sample\n{said}\n')
        for path, text in files.items():
            archive.writestr(path, text)


def tarball(path: Path, files: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, 'w:gz') as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A list, a cache and benchmarks: two packages of train, one held out."""
    cache = tmp_path / 'cache'
    planted = code(5) + PROBLEM['prompt'] + PROBLEM['solution']
    twin = code(6).replace('return', 'yield', 1)
    wheel(cache / 'pypi/sample-1.0', {'s/a.py': code(4), 's/bad.py': planted, 's/twin.py': twin, 's/fixed.py': code(7)})
    tarball(
        cache / 'debian/lib-2.0-1/lib_2.0.orig.tar.gz',
        {'lib-2.0/src/old.c': code(8), 'lib-2.0/src/new.c': code(9), 'lib-2.0/README': 'x'},
    )
    tarball(cache / 'debian/lib-2.0-1/lib_2.0-1.debian.tar.gz', {'debian/copyright': COPYRIGHT})
    tarball(
        cache / 'npm/@held+out-3.0/held-out-3.0.tgz',
        {'package/package.json': '{"license": "MIT"}', 'package/a.ts': code(6), 'package/dist/b.ts': code(7)},
    )
    (tmp_path / 'sources.tsv').write_text(
        'train\tpypi\tsample\t1.0\tpython\tMIT\ntrain\tdebian\tlib\t2.0-1\tc\tMIT\ntest\tnpm\t@held/out\t3.0\ttypescript\tMIT\n'
    )
    (tmp_path / 'benchmarks').mkdir()
    for name in ('HumanEval.jsonl.gz', 'HumanEvalPlus.jsonl.gz', 'MbppPlus.jsonl.gz'):
        row = {'prompt': PROBLEM['prompt'], 'canonical_solution': PROBLEM['solution'], 'entry_point': PROBLEM['entry_point']}
        (tmp_path / 'benchmarks' / name).write_bytes(gzip.compress(json.dumps(row).encode()))
    return tmp_path


def run(world: Path, out: str) -> int:
    places = ['--cache', world / 'cache', '--benchmarks', world / 'benchmarks', '--sources', world / 'sources.tsv']
    return build.main([str(argument) for argument in [world / out, *places, '--offline']])


def test_corpus_keeps_what_is_clean_free_and_apart_from_held_out_packages(world):
    assert run(world, 'out') == 0
    rows = [json.loads(line) for line in (world / 'out' / 'train.jsonl').read_text().splitlines()]
    # Gone: the benchmark's text, the twin of a held-out file, the twin of a held-out file that is itself not kept, GPL.
    assert sorted((row['package'], row['path'], row['language']) for row in rows) == [
        ('lib', 'src/new.c', 'c'),
        ('sample', 's/a.py', 'python'),
    ]
    assert rows[0].keys() == {'language', 'package', 'path', 'text'}
    told = json.loads((world / 'out' / 'corpus.json').read_text())
    assert told['splits']['test']['typescript'] == {
        'files': 1,
        'characters': len(code(6)) - 1,
        'packages': 1,
        'characters_of_tests': 0,
    }
    assert told['dropped']['python'] == {'benchmark': 1, 'twin of held-out': 2}
    assert told['dropped']['c'] == {'licence': 1}


def test_corpus_is_the_same_when_made_again(world):
    run(world, 'one')
    run(world, 'other')
    for name in ('train.jsonl', 'valid.jsonl', 'test.jsonl', 'corpus.json'):
        assert (world / 'one' / name).read_bytes() == (world / 'other' / name).read_bytes()


def test_package_that_is_not_as_listed_stops_the_run(world, capsys):
    listed = (world / 'sources.tsv').read_text()
    (world / 'sources.tsv').write_text(listed.replace('python\tMIT', 'python\tISC').replace('3.0\t', '4.0\t'))
    assert run(world, 'out') == 1
    said = capsys.readouterr().err
    assert 'pypi/sample-1.0: wanted ISC, the package says "MIT"; read its licence and correct the list' in said
    assert 'npm/@held+out-4.0: not in the cache; run without --offline' in said
    assert not (world / 'out').exists()


def test_statement_of_the_package_itself_wins_over_one_inside_it(tmp_path):
    tarball(
        tmp_path / 'a.tgz', {'package/sub/package.json': '{"license": "GPL-3.0"}', 'package/package.json': '{"license": "MIT"}'}
    )
    assert unpack(source('npm'), [tmp_path / 'a.tgz']).statement == '{"license": "MIT"}'
