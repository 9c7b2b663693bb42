"""Files that experiments need and no folder of data holds: made of the bundled pairs, or fetched from the hub."""

from __future__ import annotations

import json
from pathlib import Path

from store import whole
from store.problem import Problem

# A retrieval task from the bundled graded pairs, for want of a real one, and the gold score from which a sentence answers
# another.
BUNDLED_RETRIEVAL = "mini-retrieval"
RELEVANT = 4.0


def write_retrieval(folder: Path) -> None:
    """First sentences of the bundled test pairs as queries, all second ones as documents."""
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
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, content in {
        "corpus.jsonl": _lines_of(identities),
        "queries.jsonl": _lines_of(queries),
        "qrels/test.tsv": f"query-id\tcorpus-id\tscore\n{judged}",
    }.items():
        whole.write(folder / name, content)


def _lines_of(identities: dict[str, str]) -> str:
    return "".join(f"{json.dumps({'_id': identity, 'text': text})}\n" for text, identity in identities.items())


def fetched(place: str) -> str:
    """The path of a file on the hub."""
    from huggingface_hub import hf_hub_download

    owner, name, file = place.split("/", 2)
    try:
        return hf_hub_download(f"{owner}/{name}", file, repo_type="dataset")
    except OSError as error:
        raise Problem(
            f"the premises {place} could not be fetched ({str(error).splitlines()[0][:120]})", "check the network"
        ) from None
