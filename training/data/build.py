"""The corpus from the list of sources: fetch, unpack, check licences, clean, drop twins and benchmark texts, share out, write.

usage: python training/data DIR [--cache DIR] [--benchmarks DIR] [--sources FILE] [--offline]

Contract: the same list gives the same bytes. No network but the registries' own clients (`fetch.py`). A package of `valid` or
`test` gives nothing to `train`: neither its files nor near-copies of any file in it, kept or not.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.benchmarks import BenchmarkOverlap, BenchmarkTexts, assertNone, readProblems
from data.clean import decode, isTest, reasonToDrop
from data.fetch import archivesOf, fetchAll
from data.licence import checkLicence, isCopyleftHead, isPermissive, licencesOf
from data.neardup import NearDuplicates, Signatures
from data.sources import LANGUAGES, SPLITS, Source, SourceError, readSources
from data.unpack import languageOf, unpack

SOURCES = Path(__file__).parent / 'sources.tsv'
SUMS = Path(__file__).parent / 'corpus.sha256'  # what the committed list gave, as sha256sum writes it
# Most characters of a language in `train`: about 60 % in the first three, the rest even.
TRAIN_CHARACTERS = {'python': 9_500_000, 'typescript': 9_500_000, 'javascript': 9_000_000}
TRAIN_CHARACTERS_ELSE = 3_200_000
PROCESSES = 2
MOST_OF_A_PACKAGE = 1_000_000  # characters of a language read from one package of `train`
MOST_TESTS = 0.15  # of a language's characters in `train`, before the packages are brought to one height


@dataclass(frozen=True)
class File:
    split: str
    language: str
    package: str
    path: str
    text: str
    licence: str


@dataclass(frozen=True)
class Package:
    """Files with their signatures; `shadows`: signatures of a held-out package's files that are not kept."""

    files: list[tuple[File, np.ndarray]]
    shadows: list[tuple[str, np.ndarray]]
    dropped: Counter


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 a source or the written corpus is not as wanted."""
    options = parse(arguments)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f'{time.monotonic() - began:6.0f} s  {line}', file=sys.stderr, flush=True)

    try:
        sources = readSources(options.sources)
        texts = BenchmarkTexts(readProblems(options.benchmarks))
        if not options.offline:
            fetchAll(sources, options.cache, say)
        files, dropped = collect(sources, options.cache, texts, say)
        train = shareOut([file for file in files if file.split == 'train'])
        say(f'train: {len(train)} files after sharing out')
        files = train + [file for file in files if file.split != 'train']
        write(files, sources, dropped, options.directory)
        count = assertNone(texts, [options.directory / 'train.jsonl', options.directory / 'valid.jsonl'])
        say(f'{count} texts of train and valid read again: none shares a run of words with a benchmark')
        if options.sources == SOURCES:
            say(compare(options.directory))
    except (SourceError, BenchmarkOverlap) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(files))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python training/data', description=__doc__.split('\n')[0])
    parser.add_argument('directory', type=Path, help='written: train.jsonl, valid.jsonl, test.jsonl, corpus.json')
    parser.add_argument('--cache', type=Path, default=Path('corpus-cache'), help='downloads, kept between runs (default: %(default)s)')
    parser.add_argument('--benchmarks', type=Path, required=True, help='folder with HumanEval.jsonl.gz, HumanEvalPlus.jsonl.gz, MbppPlus.jsonl.gz')
    parser.add_argument('--sources', type=Path, default=SOURCES, help='the list (default: beside this file)')
    parser.add_argument('--offline', action='store_true', help='fetch nothing; every package must be in the cache')
    return parser.parse_args(arguments)


def collect(sources: list[Source], cache: Path, texts: BenchmarkTexts, say) -> tuple[list[File], Counter]:
    """Files worth keeping, held-out splits first, and how many were dropped by (language, reason)."""
    kept: list[File] = []
    dropped: Counter = Counter()
    twins = NearDuplicates()
    refused = []
    with ProcessPoolExecutor(PROCESSES, initializer=prepare, initargs=(cache, texts)) as pool:
        for number, package in enumerate(pool.map(read, sources), 1):
            if isinstance(package, str):
                refused.append(package)
                continue
            dropped += package.dropped
            for file, signature in package.files:
                if twin := twins.add(f'{file.split} {file.package} {file.path}', signature):
                    dropped[file.language, 'near-duplicate' if twin.startswith(file.split) else 'twin of held-out'] += 1
                else:
                    kept.append(file)
            for name, signature in package.shadows:
                twins.add(name, signature)
            if number % 25 == 0 or number == len(sources):
                say(f'{number} of {len(sources)} packages read, {len(kept)} files kept')
    if refused:
        raise SourceError('\n'.join(refused))
    return kept, dropped


def prepare(cache: Path, texts: BenchmarkTexts) -> None:
    """What each reading process keeps."""
    global reading
    reading = (cache, texts, Signatures())


def read(source: Source) -> Package | str:
    """All that a package alone decides; the refusal's message when it is not as wanted."""
    cache, texts, signatures = reading
    dropped: Counter = Counter()
    try:
        files, shadows = filesOf(source, cache, dropped)
    except SourceError as error:
        return str(error)
    clean = []
    for file in limit(files) if source.split == 'train' else files:
        if source.split != 'test' and texts.overlap(file.text):
            dropped[file.language, 'benchmark'] += 1
        else:
            clean.append((file, signatures.of(file.text)))
    return Package(clean, [(name, signatures.of(text)) for name, text in shadows], dropped)


def limit(files: list[File]) -> list[File]:
    """At most `MOST_OF_A_PACKAGE` characters of each language, by path again."""
    chosen = [upTo(sorted((file for file in files if file.language == language), key=drawn), MOST_OF_A_PACKAGE) for language in LANGUAGES]
    return sorted((file for own in chosen for file in own), key=lambda file: file.path)


def filesOf(source: Source, cache: Path, dropped: Counter) -> tuple[list[File], list[tuple[str, str]]]:
    """Clean files of a package, by path; and, of a held-out package, those not clean, so that train is kept apart from them too."""
    archives = archivesOf(source, cache)
    if not archives:
        raise SourceError(f'{source.key}: not in the cache; run without --offline')
    unpacked = unpack(source, archives)
    whole, licences = licencesOf(source, unpacked.statement, sorted(unpacked.files))
    checkLicence(source, whole)
    files, shadows = [], []
    for path, data in sorted(unpacked.files.items()):
        language = languageOf(path, data)
        text = decode(data)
        if text is None:
            dropped[language, 'encoding'] += 1
            continue
        reason = reasonToDrop(language, path, text)
        if reason is None and (not isPermissive(licences[path]) or isCopyleftHead(text)):
            reason = 'licence'
        if reason is None:
            files.append(File(source.split, language, source.package, path, text, licences[path]))
            continue
        dropped[language, reason] += 1
        if source.split != 'train' and len(text) > 200:
            shadows.append((f'{source.split} {source.package} {path}', text))
    return files, shadows


def shareOut(files: list[File]) -> list[File]:
    """Train files within the limits: tests first cut to their share, then the largest packages to an even height."""
    chosen = []
    for language in LANGUAGES:
        own = sorted((file for file in files if file.language == language), key=drawn)
        code = [file for file in own if not isTest(file.path)]
        most = int(sum(len(file.text) for file in code) * MOST_TESTS / (1 - MOST_TESTS))
        tests = upTo([file for file in own if isTest(file.path)], most)
        chosen += level(sorted(code + tests, key=drawn), TRAIN_CHARACTERS.get(language, TRAIN_CHARACTERS_ELSE))
    return chosen


def drawn(file: File) -> str:
    """A fixed pseudo-random order of files."""
    return hashlib.sha256(f'{file.package}\n{file.path}'.encode()).hexdigest()


def upTo(files: list[File], characters: int) -> list[File]:
    """The files in order that fit."""
    chosen, total = [], 0
    for file in files:
        if total + len(file.text) <= characters:
            chosen.append(file)
            total += len(file.text)
    return chosen


def level(files: list[File], characters: int) -> list[File]:
    """At most `characters` in all, by one limit for every package, as high as fits."""
    packages: dict[str, list[File]] = {}
    for file in files:
        packages.setdefault(file.package, []).append(file)
    sizes = {package: sum(len(file.text) for file in own) for package, own in packages.items()}
    low, high = 0, max(sizes.values(), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes.values()) <= characters:
            low = middle
        else:
            high = middle - 1
    return [file for package in sorted(packages) for file in upTo(packages[package], low)]


def write(files: list[File], sources: list[Source], dropped: Counter, directory: Path) -> None:
    """`SPLIT.jsonl`, in a fixed shuffled order, and `corpus.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    summary: dict = {'splits': {}, 'sha256': {}, 'licences': {}, 'packages': {}, 'dropped': {}}
    for split in SPLITS:
        own = sorted((file for file in files if file.split == split), key=drawn)
        lines = [
            json.dumps({'language': file.language, 'package': file.package, 'path': file.path, 'text': file.text}, ensure_ascii=False)
            for file in own
        ]
        data = ''.join(line + '\n' for line in lines).encode()
        (directory / f'{split}.jsonl').write_bytes(data)
        summary['sha256'][f'{split}.jsonl'] = hashlib.sha256(data).hexdigest()
        summary['splits'][split] = {language: counts([file for file in own if file.language == language]) for language in LANGUAGES}
        summary['licences'][split] = dict(sorted(Counter(file.licence for file in own).items()))
        summary['packages'][split] = [
            f'{source.registry} {source.package} {source.version}' for source in sources if source.split == split
        ]
    for (language, reason), count in sorted(dropped.items()):
        summary['dropped'].setdefault(language, {})[reason] = count
    (directory / 'corpus.json').write_text(json.dumps(summary, indent=2, ensure_ascii=False) + '\n', 'utf-8')


def compare(directory: Path) -> str:
    """One line on whether the corpus is the one whose sums are committed."""
    differing = [
        name
        for digest, name in (line.split() for line in SUMS.read_text('utf-8').splitlines())
        if hashlib.sha256((directory / name).read_bytes()).hexdigest() != digest
    ]
    return f'not the bytes of {SUMS.name}: {", ".join(differing)}' if differing else f'the same bytes as in {SUMS.name}'


def counts(files: list[File]) -> dict[str, int]:
    return {
        'files': len(files),
        'characters': sum(len(file.text) for file in files),
        'packages': len({file.package for file in files}),
        'characters_of_tests': sum(len(file.text) for file in files if isTest(file.path)),
    }


def table(files: list[File]) -> str:
    """Files, characters, share and packages per split and language, as Markdown."""
    rows = ['| split | language | files | characters | share | packages |', '|---|---|---:|---:|---:|---:|']
    for split in reversed(SPLITS):
        total = sum(len(file.text) for file in files if file.split == split)
        for language in LANGUAGES:
            count = counts([file for file in files if file.split == split and file.language == language])
            share = count['characters'] / total if total else 0
            rows.append(f'| {split} | {language} | {count["files"]} | {count["characters"]} | {share:.1%} | {count["packages"]} |')
    return '\n'.join(rows)
