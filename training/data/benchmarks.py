"""Texts of the benchmarks, kept out of the corpus.

Contract: `BenchmarkTexts.overlap(text)` gives a run of words that a text shares with a problem, or None. Words are identifiers
and numbers, in lower case; punctuation, layout and comment signs do not count, so reformatted copies are found. A run is
- ten words of a problem's statement or of its solution, at least six of them different and three of them not mere syntax
  (so that `for i in range(len(a))` twice over is no hit); or
- a whole short solution of five to nine words together with the name of its function.
`assertNone` reads the written corpus again and compares by plain sets of strings, not by the hashes of the first pass.
"""

import gzip
import json
import re
from pathlib import Path

import numpy as np

RUN = 10
WORD = re.compile(r'[A-Za-z_]\w*|\d+')
SYNTAX = frozenset(
    (
        'for in range len if else elif return def not and or is none true false int str list float while self import from '
        'i j k n x y s a b c'
    ).split()
)
FILES = ('HumanEval.jsonl.gz', 'HumanEvalPlus.jsonl.gz', 'MbppPlus.jsonl.gz')


class BenchmarkOverlap(Exception):
    """The written corpus holds text of a benchmark."""


def wordsOf(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def isTelling(run: tuple[str, ...]) -> bool:
    """Whether a run says more than syntax does."""
    different = {word for word in run if not word[0].isdigit()}
    return len(different) >= 6 and len(different - SYNTAX) >= 3


class BenchmarkTexts:
    def __init__(self, problems: list[dict[str, str]]) -> None:
        """`problems`: `prompt`, `solution` and `entry_point` of each."""
        self.runs: set[tuple[str, ...]] = set()
        for problem in problems:
            for text in (problem['prompt'], problem['solution'], problem['prompt'] + '\n' + problem['solution']):
                words = wordsOf(text)
                self.runs.update(run for run in windows(words, RUN) if isTelling(run))
            short = wordsOf(problem['entry_point'] + ' ' + problem['solution'])
            if 6 <= len(short) <= RUN:
                self.runs.add(tuple(short))
        self.lengths = sorted({len(run) for run in self.runs})
        self.identities = {word: index for index, word in enumerate(sorted({word for run in self.runs for word in run}), 1)}
        self.hashes = {
            length: np.unique(
                self.rolled(np.array([[self.identities[word] for word in run] for run in self.runs if len(run) == length]))
            )
            for length in self.lengths
        }

    def rolled(self, ids: np.ndarray) -> np.ndarray:
        """`[n, length]` word numbers → `[n]` hashes; wraps at 64 bits."""
        hashed = np.zeros(len(ids), np.uint64)
        for column in range(ids.shape[1]):
            hashed = hashed * np.uint64(0x9E3779B97F4A7C15) + ids[:, column].astype(np.uint64) + np.uint64(1)
        return hashed

    def overlap(self, text: str) -> str | None:
        """The first shared run, its words apart by blanks."""
        words = wordsOf(text)
        ids = np.array([self.identities.get(word, 0) for word in words])
        for length in self.lengths:
            if len(ids) < length:
                continue
            table = np.lib.stride_tricks.sliding_window_view(ids, length)
            rows = np.flatnonzero((table != 0).all(axis=1))
            for row in rows[np.isin(self.rolled(table[rows]), self.hashes[length])]:
                run = tuple(words[row : row + length])
                if run in self.runs:
                    return ' '.join(run)
        return None


def windows(words: list[str], length: int):
    return zip(*(words[offset:] for offset in range(length)))


def readProblems(folder: Path) -> list[dict[str, str]]:
    """Problems of HumanEval, HumanEval+ and MBPP+ from EvalPlus' files."""
    problems = []
    for name in FILES:
        with gzip.open(folder / name, 'rt', encoding='utf-8') as lines:
            for line in lines:
                problem = json.loads(line)
                problems.append(
                    {
                        'prompt': problem['prompt'],
                        'solution': problem['canonical_solution'],
                        'entry_point': problem['entry_point'],
                    }
                )
    return problems


def assertNone(texts: BenchmarkTexts, files: list[Path]) -> int:
    """Reads the written corpus and raises `BenchmarkOverlap` at the first shared run. Returns the number of texts read."""
    wanted = {length: {' '.join(run) for run in texts.runs if len(run) == length} for length in texts.lengths}
    count = 0
    for path in files:
        with open(path, encoding='utf-8') as lines:
            for line in lines:
                row = json.loads(line)
                count += 1
                words = wordsOf(row['text'])
                for length, runs in wanted.items():
                    for run in map(' '.join, windows(words, length)):
                        if run in runs:
                            raise BenchmarkOverlap(f'{path.name}: {row["package"]} {row["path"]} holds "{run}" of a benchmark')
    return count
