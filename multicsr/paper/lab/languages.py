"""What is learned from and tested in a language with little data. Arrow: the data folder -> a file of sentences, two files of
translations.

No sentence is learned from that is tested: the test asks what was learned of the language, not what was remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from multicsr.paper.languages import Language, Multilingual

# Makes a file of a text in the folder of the experiments, by its name.
Write = Callable[[str, str], Path]


class Learned(NamedTuple):
    """A language with its file of `sentences` to learn from, and aligned files to be `tested` on, its own first. `halved`:
    the sentences are of the same collection as the test, of which they are the first half."""

    language: Language
    sentences: Path
    tested: tuple[Path, Path]
    halved: bool


def learned(data: Path | None, write: Write, multilingual: Multilingual) -> Learned | None:
    """The first of the languages whose files are in the folder `data`; None where there is none."""
    for language in multilingual.languages:
        aligned = _aligned(data, language)
        if data is None or aligned is None:
            continue
        if language.sentences and (data / language.sentences).is_file():
            return _whole(write, language, data / language.sentences, aligned)
        if multilingual.halves:
            return _halved(write, language, aligned)
    return None


def lacked(multilingual: Multilingual) -> tuple[str, str]:
    """The files that would have to be in the data folder, and what they are."""
    language = multilingual.languages[0]
    files = [f"tatoeba/{language.translations}.*", *([] if multilingual.halves else [str(language.sentences)])]
    return " and ".join(files), f"sentences in {language.name} and their translations"


def _aligned(data: Path | None, language: Language) -> tuple[Path, Path] | None:
    """The two files of translations, the language's own first."""
    from stages.tasks import bitext

    if data is None or language.translations not in bitext.names_in(data):
        return None
    sides = bitext.load(language.translations, data).sides
    named = f"{language.translations}.{sides[0]}"
    folder = data if (data / named).exists() else data / "tatoeba"
    return folder / named, folder / f"{language.translations}.{sides[1]}"


def _whole(write: Write, language: Language, sentences: Path, aligned: tuple[Path, Path]) -> Learned:
    """Sentences of their own, and all translations."""
    own, other = map(_lines, aligned)
    return Learned(language, _written(write, language, _lines(sentences), {*own, *other}), aligned, False)


def _halved(write: Write, language: Language, aligned: tuple[Path, Path]) -> Learned:
    """The first half of the translations is learned from, without its translations; the second is the test."""
    sides = [_lines(file) for file in aligned]
    half = len(sides[0]) // 2
    first, second = (
        write(f"t5-{file.name}", "".join(f"{line}\n" for line in lines[half:]))
        for file, lines in zip(aligned, sides, strict=True)
    )
    tested = {*sides[0][half:], *sides[1][half:]}
    return Learned(language, _written(write, language, sides[0][:half], tested), (first, second), True)


def _written(write: Write, language: Language, sentences: list[str], tested: set[str]) -> Path:
    """A file of the sentences that are not tested, each once."""
    kept = dict.fromkeys(text for text in sentences if text not in tested)
    return write(f"t5-{language.name}.txt", "".join(f"{text}\n" for text in kept))


def _lines(file: Path) -> list[str]:
    from stages.tasks.files import lines

    return lines(file)
