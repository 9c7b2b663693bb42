"""The files that experiments are made from. Arrow: the data folder, the hub, the bundled pairs -> files.

What no folder holds is written into the folder of the experiments: a labelled corpus of some premises, half of some
translations, copies of a triplet, a retrieval task of the bundled pairs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multicsr.means.names import read_source
from multicsr.paper.lab import languages
from store import whole
from store.problem import Problem

if TYPE_CHECKING:
    from multicsr.paper.lab.languages import Learned
    from multicsr.paper.scales import Scale
    from stages.files.sources import Source

HUB = "hub:"  # before the name of a file of a data set there: OWNER/NAME/FILE
TRIPLET = ("premise", "entailment", "contradiction")  # the columns of a file of triplets

# A retrieval task from the bundled graded pairs, for want of a real one, and the gold score from which a sentence answers
# another.
BUNDLED_RETRIEVAL = "mini-retrieval"
RELEVANT = 4.0

SNLI, SNLI_PART = "snli-dev.csv", "snli.csv"


class Material:
    """Files of the folder `data`, if there is one, and those that are written into `folder`."""

    def __init__(self, scale: Scale, data: Path | None, folder: Path) -> None:
        self.scale, self.data, self.folder = scale, data, folder
        self._sources: dict[str, Source] = {}

    def lacks(self, file: str, what: str) -> str:
        """Says what is missing and where it is looked for."""
        where = "the data folder holds none" if self.data else "no data folder is given"
        return f"needs {what}, and {where}; data=DIR with {file} would do"

    def nli_premises(self) -> str | None:
        """Premises of an NLI corpus, each of which has a labelled triplet: a column of the scale's, else SNLI's."""
        if self.scale.labelled is not None:
            return f"{self.scale.labelled}#sent0"
        return str(self._labelled_premises) if self.labelled else None

    @cached_property
    def _labelled_premises(self) -> Path:
        from stages.files.corpora import corpus

        rows = corpus(self.labelled_file).triplets()
        return self.write("snli-premises.txt", _lines(dict.fromkeys(row.triplet.premise for row in rows)))

    def sentences(self) -> Iterator[str]:
        """Sentences that occur once each: the scale's premises, and then those of the bundled pairs."""
        from stages.tasks import sts

        pairs = [part for split in ("dev", "test") for part in sts.load("mini", None, split).subsets]
        bundled = (text for part in pairs for texts in (part.first, part.second) for text in texts)
        premises = (text for _, text in self.source(self.scale.premises).texts())
        seen = set[str]()
        for text in chain(premises, bundled):
            if text not in seen:
                seen.add(text)
                yield text

    def other_premises(self) -> str:
        """Sentences of elsewhere."""
        return self.scale.other_premises or self.scale.premises

    def source(self, premises: str) -> Source:
        """The premises called so: bundled, a file, `FILE#COLUMN`, or a column of a file on the hub.

        Raises Problem for a file that is not there, or not yet fetched.
        """
        if premises not in self._sources:
            path, _, column = premises.partition("#")
            self._sources[premises] = read_source(self._place(path), column or None)
        return self._sources[premises]

    def bring(self, *names: Any) -> None:
        """Fetch those of `names` that are files on the hub. Raises Problem where that fails."""
        for name in names:
            if isinstance(name, str) and name.startswith(HUB):
                _fetched(name.partition("#")[0], only_here=False)

    @cached_property
    def learned(self) -> Learned | None:
        """The language with little data of t5, with what is learned from and tested; None where it lacks a file."""
        return languages.learned(self.data, self.write, self.scale.multilingual)

    @property
    def labelled(self) -> str | None:
        """What the file of a labelled NLI corpus is called, where there is one."""
        if self.scale.labelled is None and not all(self._snli()):
            return None
        return Path(self.scale.labelled or SNLI_PART).name

    @cached_property
    def labelled_file(self) -> Path:
        """A file of labelled triplets, or of labelled pairs as SNLI has them: as many triplets as the scale has premises."""
        from stages.files.corpora import corpus

        whole = self.demonstrated_file
        if self.scale.labelled is not None:
            return whole
        ends = [row.line for row in islice(corpus(whole).triplets(), self.scale.limit)]
        return self._pairs(SNLI_PART, self._rows[: ends[-1] - 1])  # the first line is the header

    @cached_property
    def demonstrated_file(self) -> Path:
        """The labelled corpus whose nearest triplets are shown: all of it."""
        if self.scale.labelled is not None:
            return Path(self._place(self.scale.labelled))
        return self._pairs(SNLI, self._rows)

    def _pairs(self, name: str, rows: Sequence[Sequence[str]]) -> Path:
        return self.write(name, comma_separated(("sentence1", "sentence2", "gold_label"), rows))

    @cached_property
    def _rows(self) -> list[tuple[str, ...]]:
        """SNLI's pairs: premise, hypothesis, label."""
        lines = [Path(part).read_text(encoding="utf-8").splitlines() for part in self._snli() if part]
        return list(zip(*lines, strict=True))

    def _snli(self) -> list[str | None]:
        return [self._in_data(f"snli/{name}.dev") for name in ("s1", "s2", "labels")]

    def _in_data(self, file: str) -> str | None:
        return str(self.data / file) if self.data and (self.data / file).is_file() else None

    def _place(self, path: str) -> str:
        return _fetched(path, only_here=True) if path.startswith(HUB) else path

    def triplets(self, name: str, triplets: Sequence[Sequence[str]]) -> Path:
        """A file of triplets, those that occur several times too."""
        return self.write(name, comma_separated(TRIPLET, triplets))

    def repeated(self, premises: str, limit: int | None = None) -> Path:
        """A file of triplets, of all premises or the first `limit`, for what learns from sentences alone: each stands in the
        place of its hypotheses too, which are not read. They stream, since there may be millions."""
        source = self.source(premises)
        path = self.folder / f"sentences-{source.digest}{f'-{limit}' if limit else ''}.csv"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole.file(path) as part, part.open("w", encoding="utf-8", newline="") as opened:
                rows = csv.writer(opened, lineterminator="\n")
                rows.writerow(TRIPLET)
                rows.writerows([text] * len(TRIPLET) for _, text in islice(source.texts(), limit))
        return path

    def retrieval(self) -> Path:
        """The folder of a retrieval task: first sentences of the bundled test pairs as queries, all second ones as
        documents."""
        from stages.tasks import sts

        (pairs,) = sts.load("mini", None, "test").subsets
        identities = {text: f"d{place}" for place, text in enumerate(dict.fromkeys(pairs.second))}
        relevant = [
            (first, identities[second])
            for first, second, gold in zip(pairs.first, pairs.second, pairs.gold, strict=True)
            if gold >= RELEVANT
        ]
        queries = {text: f"q{place}" for place, text in enumerate(dict.fromkeys(first for first, _ in relevant))}
        judged = "".join(f"{queries[first]}\t{document}\t1\n" for first, document in relevant)
        self.write(f"{BUNDLED_RETRIEVAL}/corpus.jsonl", _json_lines(identities))
        self.write(f"{BUNDLED_RETRIEVAL}/queries.jsonl", _json_lines(queries))
        self.write(f"{BUNDLED_RETRIEVAL}/qrels/test.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
        return self.folder / BUNDLED_RETRIEVAL

    def write(self, name: str, text: str) -> Path:
        """The file called `name`, which holds `text`; one that does already is left alone."""
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != text.encode():
            path.parent.mkdir(parents=True, exist_ok=True)
            whole.write(path, text)
        return path


def comma_separated(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with a header."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([columns, *rows])
    return out.getvalue()


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _json_lines(identities: dict[str, str]) -> str:
    return _lines(json.dumps({"_id": identity, "text": text}) for text, identity in identities.items())


def _fetched(place: str, only_here: bool) -> str:
    """The path of a file on the hub; with `only_here`, of one that was fetched before. Raises Problem for none."""
    from huggingface_hub import hf_hub_download

    owner, name, file = place.removeprefix(HUB).split("/", 2)
    try:
        return hf_hub_download(f"{owner}/{name}", file, repo_type="dataset", local_files_only=only_here)
    except OSError as error:
        what = f"the file {place} could not be fetched ({str(error).splitlines()[0][:120]})"
        raise Problem(what, "check the network") from None
