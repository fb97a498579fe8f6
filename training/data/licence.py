"""Licences: what a package says of itself, whether that is permissive, and whether it is what the list expects.

Contract: `licencesOf` gives, for each file of a package, an SPDX expression or the unknown name as found; `checkLicence` raises
`SourceError` when the package is not what the list says. Only permissive licences pass. It reads statements and the heads of
files; it does not compare licence texts.
"""

import fnmatch
import json
import re
from email.parser import HeaderParser

from data.sources import Source, SourceError

ALLOWED = {
    'MIT', 'MIT-0', 'BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'Zlib', '0BSD',
    'PSF-2.0', 'Unlicense', 'CC0-1.0', 'curl', 'public-domain', 'MIT-CMU', 'blessing',
    'Zsh',  # Debian's name of zsh's own licence, like MIT's
}  # fmt: skip
NAMES = {
    'expat': 'MIT', 'mit license': 'MIT', 'the mit license': 'MIT', 'mit/x11': 'MIT', 'mit/x': 'MIT',
    'mit/expat': 'MIT', 'mit-like': 'MIT',
    'mit-style': 'MIT', 'the mit license (mit)': 'MIT', 'mit license (expat)': 'MIT',
    'apache': 'Apache-2.0', 'apache-2': 'Apache-2.0', 'apache 2.0': 'Apache-2.0', 'apache license 2.0': 'Apache-2.0',
    'apache license, version 2.0': 'Apache-2.0', 'apache software license': 'Apache-2.0', 'apache license': 'Apache-2.0',
    'apache-2.0 license': 'Apache-2.0', 'apache 2': 'Apache-2.0', 'asl-2.0': 'Apache-2.0',
    'apache license version 2.0': 'Apache-2.0',
    'bsd license': 'BSD', 'new bsd': 'BSD-3-Clause', 'new bsd license': 'BSD-3-Clause', 'modified bsd license': 'BSD-3-Clause',
    'bsd-3': 'BSD-3-Clause', 'bsd-2': 'BSD-2-Clause', 'bsd 3-clause': 'BSD-3-Clause', 'bsd 3-clause license': 'BSD-3-Clause',
    'bsd 2-clause': 'BSD-2-Clause', '3-clause bsd license': 'BSD-3-Clause', 'bsd-3-clause license': 'BSD-3-Clause',
    'isc license': 'ISC', 'isc license (iscl)': 'ISC', 'zlib/libpng': 'Zlib', 'zlib': 'Zlib', 'psf': 'PSF-2.0',
    'python software foundation license': 'PSF-2.0', 'public domain': 'public-domain', 'pd': 'public-domain',
    'the unlicense (unlicense)': 'Unlicense', 'the unlicense': 'Unlicense', 'mit-x11': 'MIT', 'apache2': 'Apache-2.0',
    'simplified bsd': 'BSD-2-Clause', 'cc0': 'CC0-1.0', 'apache2.0': 'Apache-2.0', 'mit licence': 'MIT',
}  # fmt: skip
NAMES |= {name.lower(): name for name in ALLOWED}
COPYLEFT_HEAD = re.compile(
    r'GNU\s+(Lesser|Library|Affero)?\s*(General)?\s*Public\s+Licen[sc]e|Mozilla\s+Public\s+Licen[sc]e|\b[AL]?GPL(-|\s*v?)[23]'
    r'|Eclipse\s+Public\s+Licen[sc]e|Creative\s+Commons\s+Attribution-(Share|Non)'
    r'|SPDX-License-Identifier:\s*[(\w.\- ]*\b([AL]?GPL|MPL|EPL|CDDL)',
    re.IGNORECASE,
)
HEAD_CHARACTERS = 3000


def isCopyleftHead(text: str) -> bool:
    """Whether the head of a file names a licence that is not permissive; comment signs at line starts are ignored."""
    head = re.sub(r'\n[\s#;/*\-"!%]*', ' ', text[:HEAD_CHARACTERS])
    return COPYLEFT_HEAD.search(head) is not None


def normalise(name: str) -> str:
    """SPDX name of a licence as people write it; the trimmed name itself when it is not known."""
    plain = re.sub(r'\s+', ' ', name.strip().strip('()'))
    if plain.lower() in NAMES:
        return NAMES[plain.lower()]
    # Debian numbers variants of one licence: MIT-1, BSD-3-clause-Google, Expat~foo, ISC-Apple.
    variant = re.fullmatch(r'(expat|mit|bsd-[23]-clause|isc|zlib|bsd-[23]|apache-2\.0)[-~+.](.+)', plain.lower())
    return NAMES[variant[1]] if variant and not re.search(r'exception|gpl|nc|advert', variant[2]) else plain


def simplify(expression: str) -> str:
    """The expression with known names, `OR` and `AND` in capitals; `AND` binds weaker, as Debian's comma before `and` does."""
    ands = [part for part in re.split(r',?\s+and\s+|\s*&\s*', expression.strip(), flags=re.IGNORECASE) if part]
    simple = []
    for part in ands:
        ors = sorted(
            {
                normalise(one)
                for one in re.split(r'\s+or\s+|\s*/\s*(?!X\b|X11|Expat|libpng)|\s*\|\s*', part, flags=re.IGNORECASE)
                if one.strip()
            }
        )
        simple.append(' OR '.join(ors))
    return ' AND '.join(sorted(set(simple)))


def isPermissive(expression: str) -> bool:
    """Whether each `AND` part offers at least one permissive choice."""
    return bool(expression) and all(
        any(one.strip(' ()') in ALLOWED for one in part.split(' OR ')) for part in simplify(expression).split(' AND ')
    )


def checkLicence(source: Source, found: str) -> None:
    """Refuses a package whose own licence is not permissive, or not the one that the list names."""
    if not isPermissive(found):
        raise SourceError(
            f'{source.key}: wanted {source.licence}, the package says "{found}", which is not permissive; take it off the list'
        )
    if not agrees(source.licence, found):
        raise SourceError(
            f'{source.key}: wanted {source.licence}, the package says "{found}"; read its licence and correct the list'
        )


def agrees(expected: str, found: str) -> bool:
    """Whether two expressions say the same; a bare BSD (PyPI's classifier) agrees with each BSD licence."""
    one, other = simplify(expected), simplify(found)
    return one == other or (other == 'BSD' and one in {'BSD-2-Clause', 'BSD-3-Clause'})


def licencesOf(source: Source, statement: str, paths: list[str]) -> tuple[str, dict[str, str]]:
    """The package's licence and that of each path. Only Debian tells them per file."""
    match source.registry:
        case 'pypi':
            whole = pypiLicence(statement)
        case 'npm':
            whole = npmLicence(statement)
        case _:
            return debianLicences(source, statement, paths)
    return whole, {path: whole for path in paths}


def pypiLicence(metadata: str) -> str:
    """From METADATA: the SPDX expression, else a short License field, else the classifiers."""
    fields = HeaderParser().parsestr(metadata)
    if fields.get('License-Expression'):
        return simplify(fields['License-Expression'])
    classifiers = [
        line.rsplit('::', 1)[-1]
        for line in fields.get_all('Classifier', [])
        if line.startswith('License ::') and line.count('::') > 1
    ]
    short = simplify(fields.get('License') or '')
    if isPermissive(short):
        return short
    return simplify(' OR '.join(classifiers)) if classifiers else short[:80]


def npmLicence(package: str) -> str:
    """From package.json: `license` (text or object) or the old `licenses`."""
    said = json.loads(package)
    licence = said.get('license') or said.get('licenses') or ''
    choices = licence if isinstance(licence, list) else [licence]
    return simplify(' OR '.join(one.get('type', '') if isinstance(one, dict) else str(one) for one in choices))


def debianLicences(source: Source, copyright: str, paths: list[str]) -> tuple[str, dict[str, str]]:
    """From a machine-readable debian/copyright: the last stanza whose pattern matches a path names its licence.

    Source: Debian's machine-readable copyright format 1.0, sections 6.8 and 6.9.
    """
    if not re.match(r'Format(-Specification)?:', copyright.lstrip('\ufeff\n ')):
        raise SourceError(f'{source.key}: debian/copyright is not machine-readable; take the package off the list')
    stanzas: list[tuple[list[re.Pattern], str]] = []
    whole = None
    for stanza in re.split(r'\n\s*\n', copyright):
        fields = HeaderParser().parsestr(stanza.lstrip('\n'))
        if not fields.get('Files') or not fields.get('License'):
            continue
        licence = simplify(fields['License'].split('\n')[0])
        patterns = fields['Files'].replace(',', ' ').split()
        if '*' in patterns:
            whole = licence
        patterns = [pattern.removeprefix('./') for pattern in patterns]
        if source.registry == 'debian-binary' and not isPermissive(licence):
            # A built package has other folders than its source: a file of a name said to be copyleft is taken for that file.
            patterns += ['*/' + last for last in (pattern.rsplit('/', 1)[-1] for pattern in patterns) if last.strip('*')]
        stanzas.append(([re.compile(fnmatch.translate(pattern)) for pattern in patterns], licence))
    if whole is None:
        raise SourceError(f'{source.key}: debian/copyright has no "Files: *"; take the package off the list')
    each = {}
    for path in paths:
        matching = [licence for patterns, licence in stanzas if any(pattern.match(path) for pattern in patterns)]
        each[path] = matching[-1] if matching else whole
    return whole, each
