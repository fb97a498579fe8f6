"""How much of what: no package and no kind of file outweighs the others.

Contract: pure functions on lists of files; the choice depends on packages, paths and sizes alone, never on order or chance.
"""

import hashlib
from dataclasses import dataclass

from data.clean import isTest
from data.sources import LANGUAGES

# Most characters of a language in `train`: about 72 % in the first three, the rest even.
TRAIN_CHARACTERS = {'python': 80_000_000, 'typescript': 40_000_000, 'javascript': 36_000_000}
TRAIN_CHARACTERS_ELSE = 10_000_000
MOST_OF_A_PACKAGE = 2_500_000  # characters of a language read from one package of `train`
MOST_OF_A_PACKAGE_OF = dict.fromkeys(('rust', 'go', 'c'), 1_500_000)  # many large packages, of which sharing out keeps less
MOST_TESTS = 0.15  # of a language's characters in `train`, before the packages are brought to one height


@dataclass(frozen=True)
class File:
    split: str
    language: str
    package: str
    path: str
    text: str
    licence: str


def limit(files: list[File]) -> list[File]:
    """At most `MOST_OF_A_PACKAGE` characters of each language (less of some), by path again."""
    chosen = [
        upTo(
            sorted((file for file in files if file.language == language), key=drawn),
            MOST_OF_A_PACKAGE_OF.get(language, MOST_OF_A_PACKAGE),
        )
        for language in LANGUAGES
    ]
    return sorted((file for own in chosen for file in own), key=lambda file: file.path)


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
