"""What is learned from and tested in a language with little data. Arrow: the data folder -> a file of sentences, two files of
translations.

No sentence is learned from that is tested: the test asks what was learned of the language, not what was remembered.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from multicsr.paper.lab.material import Material
    from multicsr.paper.languages import Language, Multilingual


class Learned(NamedTuple):
    """A language with its file of `sentences` to learn from, and aligned files to be `tested` on, its own first. `halved`:
    the sentences are of the same collection as the test, of which they are the first half."""

    language: Language
    sentences: Path
    tested: tuple[Path, Path]
    halved: bool


def learned(material: Material, multilingual: Multilingual) -> Learned | None:
    """The first of the languages whose files are in the data folder; None where there is none."""
    for language in multilingual.languages:
        aligned = _aligned(material.data, language)
        sentences = language.sentences and material.in_data(language.sentences)
        if aligned is not None and sentences:
            return _whole(material, language, Path(sentences), aligned)
        if aligned is not None and multilingual.halves:
            return _halved(material, language, aligned)
    return None


def lacked(material: Material, multilingual: Multilingual) -> str:
    """What would have to be in the data folder."""
    language = multilingual.languages[0]
    files = [f"tatoeba/{language.translations}.*"]
    if not multilingual.halves:
        files.append(str(language.sentences))
    return material.lacks(" and ".join(files), f"sentences in {language.name} with little data and their translations")


def _aligned(data: Path | None, language: Language) -> tuple[Path, Path] | None:
    """The two files of translations, the language's own first."""
    from stages.tasks import bitext

    if data is None or language.translations not in bitext.names_in(data):
        return None
    sides = bitext.load(language.translations, data).sides
    named = f"{language.translations}.{sides[0]}"
    folder = data if (data / named).exists() else data / "tatoeba"
    return folder / named, folder / f"{language.translations}.{sides[1]}"


def _whole(material: Material, language: Language, sentences: Path, aligned: tuple[Path, Path]) -> Learned:
    """Sentences of their own, and all translations."""
    own, other = map(_lines, aligned)
    return Learned(language, _written(material, language, _lines(sentences), {*own, *other}), aligned, False)


def _halved(material: Material, language: Language, aligned: tuple[Path, Path]) -> Learned:
    """The first half of the translations is learned from, without its translations; the second is the test."""
    sides = [_lines(file) for file in aligned]
    half = len(sides[0]) // 2
    first, second = (
        material.write(f"t5-{file.name}", "".join(f"{line}\n" for line in lines[half:]))
        for file, lines in zip(aligned, sides, strict=True)
    )
    tested = {*sides[0][half:], *sides[1][half:]}
    return Learned(language, _written(material, language, sides[0][:half], tested), (first, second), True)


def _written(material: Material, language: Language, sentences: list[str], tested: set[str]) -> Path:
    """A file of the sentences that are not tested, each once."""
    kept = dict.fromkeys(text for text in sentences if text not in tested)
    return material.write(f"t5-{language.name}.txt", "".join(f"{text}\n" for text in kept))


def _lines(file: Path) -> list[str]:
    from stages.tasks.files import lines

    return lines(file)
