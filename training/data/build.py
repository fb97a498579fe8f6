"""The corpus from the list of sources: fetch, unpack, check licences, clean, drop twins and benchmark texts, share out, write.

usage: python training/data DIR [--cache DIR] [--benchmarks DIR] [--sources FILE] [--offline]

Contract: the same list gives the same bytes. No network but the registries' own clients (`fetch.py`). A package of `valid` or
`test` gives nothing to `train`: neither its files nor near-copies of any file in it, kept or not.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.benchmarks import BenchmarkOverlap, BenchmarkTexts, assertNone, readProblems
from data.clean import decode, reasonToDrop
from data.fetch import archivesOf, fetchAll
from data.licence import checkLicence, isCopyleftHead, isPermissive, licencesOf
from data.neardup import NearDuplicates, Signatures
from data.share import File, limit, shareOut
from data.sources import Source, SourceError, readSources
from data.unpack import languageOf, unpack
from data.write import compare, table, write

SOURCES = Path(__file__).parent / 'sources.tsv'
PROCESSES = 2


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
    parser.add_argument(
        '--cache', type=Path, default=Path('corpus-cache'), help='downloads, kept between runs (default: %(default)s)'
    )
    parser.add_argument(
        '--benchmarks', type=Path, required=True, help='folder with HumanEval.jsonl.gz, HumanEvalPlus.jsonl.gz, MbppPlus.jsonl.gz'
    )
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


def filesOf(source: Source, cache: Path, dropped: Counter) -> tuple[list[File], list[tuple[str, str]]]:
    """Clean files of a package, by path; of a held-out package also the others, so that train is kept apart from them too."""
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
