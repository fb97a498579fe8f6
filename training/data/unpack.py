"""What lies in a package: the texts of the wanted languages and the package's own statement of its licence.

Contract: `unpack` reads archives in memory, writes nothing, runs nothing. Paths are those inside the package, without the folder
that names its version.
"""

import gzip
import io
import lzma
import re
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from data.sources import ENDINGS, Source, SourceError

LARGEST_BYTES = 400_000  # larger files are never code that a person wrote; saves time
SHELL_FIRST_LINE = re.compile(r'#!\s*(/usr)?/bin/(env\s+)?(ba|da|k|z)?sh\b|#(compdef|autoload)\b')


@dataclass
class Unpacked:
    """`files`: path → bytes. `statement`: METADATA, package.json or debian/copyright, as found."""

    files: dict[str, bytes] = field(default_factory=dict)
    statement: str = ''


def languageOf(path: str, data: bytes) -> str | None:
    """Language of a file by its ending; a file without one may be a shell script by its first line."""
    name = path.rsplit('/', 1)[-1]
    if name.endswith(('.d.ts', '.d.mts')):
        return None
    for language, endings in ENDINGS.items():
        if name.endswith(endings):
            return language
    if '.' not in name.lstrip('.') and SHELL_FIRST_LINE.match(data[:200].decode('latin-1')):
        return 'shell'
    return None


def unpack(source: Source, archives: list[Path]) -> Unpacked:
    """Texts of `source.languages` in the archives, and the statement."""
    found, found_depth = Unpacked(), 0
    for path, data in members(source, archives):
        if isStatement(source.registry, path):
            # A package has one; the shortest path wins over those of packages inside it.
            if not found.statement or path.count('/') < found_depth:
                found.statement, found_depth = data.decode('utf-8', 'replace'), path.count('/')
        elif languageOf(path, data) in source.languages:
            found.files[path] = data
    if not found.statement:
        raise SourceError(f'{source.key}: no statement of its licence found among {[path.name for path in archives]}')
    return found


def isStatement(registry: str, path: str) -> bool:
    match registry:
        case 'pypi':
            return re.fullmatch(r'[^/]+\.dist-info/METADATA', path) is not None
        case 'npm':
            return path == 'package.json'
        case 'debian':
            return path == 'debian/copyright'
        case _:
            return re.fullmatch(r'usr/share/doc/[^/]+/copyright', path) is not None


def members(source: Source, archives: list[Path]):
    """Regular files of all archives as (path inside the package, bytes)."""
    for archive in archives:
        name = archive.name
        if name.endswith('.whl'):
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    if not info.is_dir() and info.file_size <= LARGEST_BYTES:
                        yield info.filename, opened.read(info)
        elif name.endswith('.deb'):
            yield from tarMembers(
                io.BytesIO(debData(archive)), lambda path: re.sub(r'^usr/share/cargo/registry/[^/]+/', '', path)
            )
        elif re.search(r'\.debian\.tar\.\w+$', name):
            with open(archive, 'rb') as opened:
                yield from tarMembers(opened, lambda path: path)
        elif re.search(r'(\.orig)?\.tar\.\w+$|\.tgz$', name):
            with open(archive, 'rb') as opened:
                yield from tarMembers(opened, lambda path: path.split('/', 1)[-1])


def tarMembers(opened, inside):
    with tarfile.open(fileobj=opened) as tar:
        for info in tar:
            if info.isfile() and 0 < info.size <= LARGEST_BYTES:
                yield inside(info.name.removeprefix('./')), tar.extractfile(info).read()


def debData(path: Path) -> bytes:
    """The data part of a .deb (an `ar` archive), decompressed."""
    raw = path.read_bytes()
    at = 8
    while at < len(raw):
        name, size = raw[at : at + 16].decode().strip().rstrip('/'), int(raw[at + 48 : at + 58])
        body = raw[at + 60 : at + 60 + size]
        if name == 'data.tar.xz':
            return lzma.decompress(body)
        if name == 'data.tar.gz':
            return gzip.decompress(body)
        at += 60 + size + size % 2
    raise SourceError(f'{path.name}: no data.tar.xz or data.tar.gz in it')
