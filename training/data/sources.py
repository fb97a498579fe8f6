"""The list of sources: which package, at which version, in which split, under which licence.

Contract: `readSources` gives the rows of `sources.tsv` in a fixed order or raises `SourceError` with the line. Knows no network
and no files of packages.
"""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ('test', 'valid', 'train')
REGISTRIES = ('pypi', 'npm', 'debian', 'debian-binary')
# Endings of a file's name; shell scripts without an ending are known by their first line (`unpack.languageOf`).
ENDINGS = {
    'python': ('.py',),
    'typescript': ('.ts', '.tsx', '.mts'),
    'javascript': ('.js', '.mjs', '.cjs', '.jsx'),
    'rust': ('.rs',),
    'go': ('.go',),
    'c': ('.c', '.h'),
    'lua': ('.lua',),
    'elisp': ('.el',),
    'shell': ('.sh', '.bash', '.zsh', '.bats'),
}
LANGUAGES = tuple(ENDINGS)


class SourceError(Exception):
    """A package or the list is not what was wanted; the message says what was found and what to do."""


@dataclass(frozen=True, order=True)
class Source:
    """One line of the list. `languages`: the only ones taken from it. `licence`: SPDX expression that must be found in it."""

    split: str
    registry: str
    package: str
    version: str
    languages: tuple[str, ...]
    licence: str

    @property
    def key(self) -> str:
        """Unique name; also the folder in the cache, `/` and `:` written as in a Debian file name."""
        return f'{self.registry}/{self.package.replace("/", "+")}-{self.version.replace(":", "%3a")}'


def readSources(path: Path) -> list[Source]:
    """Rows of the tab-separated list, sorted; `#` starts a comment line."""
    sources = []
    for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        cells = line.split('\t')
        if len(cells) != 6:
            raise SourceError(f'{path.name}:{number}: 6 cells separated by tabs wanted, {len(cells)} found')
        split, registry, package, version, languages, licence = cells
        source = Source(split, registry, package, version, tuple(languages.split(',')), licence)
        if split not in SPLITS or registry not in REGISTRIES or not set(source.languages) <= set(LANGUAGES):
            raise SourceError(f'{path.name}:{number}: unknown split, registry or language in "{line}"')
        sources.append(source)
    packages: dict[tuple[str, str], str] = {}
    for source in sources:
        other = packages.setdefault((source.registry, source.package), source.split)
        if other != source.split:
            raise SourceError(f'{path.name}: {source.package} stands in {other} and in {source.split}; a package has one split')
    if len({source.key for source in sources}) != len(sources):
        raise SourceError(f'{path.name}: a package is listed twice; name its languages on one line, separated by commas')
    return sorted(sources, key=lambda source: (SPLITS.index(source.split), source.registry, source.package))
