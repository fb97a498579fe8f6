"""The corpus on disk: `SPLIT.jsonl`, `corpus.json`, and what is told of them.

Contract: bytes depend on the files given, not on their order.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

from data.clean import isTest
from data.share import File, drawn
from data.sources import LANGUAGES, SPLITS, Source

SUMS = Path(__file__).parent / 'corpus.sha256'  # what the committed list gave, as sha256sum writes it


def write(files: list[File], sources: list[Source], dropped: Counter, directory: Path) -> None:
    """`SPLIT.jsonl`, in a fixed shuffled order, and `corpus.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    summary: dict = {'splits': {}, 'sha256': {}, 'licences': {}, 'packages': {}, 'dropped': {}}
    for split in SPLITS:
        own = sorted((file for file in files if file.split == split), key=drawn)
        lines = [
            json.dumps(
                {'language': file.language, 'package': file.package, 'path': file.path, 'text': file.text}, ensure_ascii=False
            )
            for file in own
        ]
        data = ''.join(line + '\n' for line in lines).encode()
        (directory / f'{split}.jsonl').write_bytes(data)
        summary['sha256'][f'{split}.jsonl'] = hashlib.sha256(data).hexdigest()
        summary['splits'][split] = {
            language: counts([file for file in own if file.language == language]) for language in LANGUAGES
        }
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
            rows.append(
                f'| {split} | {language} | {count["files"]} | {count["characters"]} | {share:.1%} | {count["packages"]} |'
            )
    return '\n'.join(rows)
