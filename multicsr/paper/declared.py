"""The paper's experiments whose rows are trained models: which runs, what varies, what is measured, what is claimed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from multicsr.paper.material import BUNDLED_RETRIEVAL
from multicsr.paper.measured import Claim, Row, Trained, always
from multicsr.paper.plan import Node, node
from multicsr.paper.plots import Curve
from multicsr.paper.read import changed, rows_of
from multicsr.paper.scales import OMEGA, Backbone, Thresholds
from stages.public import published

if TYPE_CHECKING:
    from multicsr.paper.lab import Lab

STS = published.tasks("sts")
TRANSFER = published.tasks("transfer")


def _known(group: str, backbone: str, method: str) -> dict[str, float]:
    """The published figures of a method; none where none are known."""
    rows = published.table(group)
    return next((row.figures for row in rows if (row.backbone, row.method) == (backbone, method)), {})


def _rows(lab: Lab, curated: bool = True, **settings: Any) -> tuple[Node, ...]:
    """MultiCSR's trainings, one a seed."""
    scale = lab.scale
    corpus = scale.gen(OMEGA)
    parent = scale.curate(corpus) if curated else corpus
    return tuple(scale.train(parent, seed, **settings) for seed in lab.seeds)


def _simcse(lab: Lab, backbone: Backbone | None = None, corpus: Node | None = None) -> tuple[Node, ...]:
    """Unsupervised SimCSE on the premises of a corpus alone."""
    scale = lab.scale
    parent = corpus or scale.gen(0.0)
    return tuple(scale.train(parent, seed, backbone=backbone, objective="simcse-unsup") for seed in lab.seeds)


def _syncse(lab: Lab, backbone: Backbone | None = None) -> tuple[Node, ...]:
    """SynCSE: what the LLM wrote without contrast, uncurated and unmasked."""
    return tuple(lab.scale.train(lab.scale.gen(0.0), seed, mask=False, backbone=backbone) for seed in lab.seeds)


def _field(lab: Lab, group: str) -> list[Row]:
    found: list[Row] = []
    for backbone in lab.scale.backbones:
        for name, method, models, how in (
            ("as it is", "first-last avg", (backbone.base,), {"pooler": "first_last_mean"}),
            ("whitening", "whitening", (backbone.base,), {"pooler": "first_last_mean", "whiten": lab.scale.premises}),
            ("SimCSE unsup.", "SimCSE unsup.", _simcse(lab, backbone), {}),
            ("SynCSE, our LLM", "", _syncse(lab, backbone), {}),
            ("MultiCSR", "MultiCSR", _rows(lab, backbone=backbone), {}),
        ):
            if group == "transfer" and name == "whitening":
                continue
            known = _known(group, backbone.published, method)
            varied = {"backbone": backbone.base, "method": name} if len(models) == len(lab.seeds) and not how else {}
            as_paper = f"{method} on {backbone.published}"
            found.append(Row(f"{backbone.base}, {name}", models, varied, known, evaluated=how, as_paper=as_paper))
    return found


def _all_sts(lab: Lab) -> tuple[str, ...]:
    bundled = tuple(task for task in lab.usual if task not in STS)
    return (*bundled, *STS)


_FIELD_CLAIMS = always(
    Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE unsup."),
    Claim("MultiCSR against SynCSE with the same LLM", "method", "MultiCSR", "SynCSE, our LLM"),
)

T2 = Trained("t2", "STS tasks", lambda lab: _field(lab, "sts"), _all_sts, _FIELD_CLAIMS)


def _needs_transfer(lab: Lab) -> str | None:
    if lab.there(TRANSFER):
        return None
    return "no transfer task is at hand; --data DIR with TREC of SentEval would do"


T9 = Trained(
    "t9",
    "Transfer tasks",
    lambda lab: _field(lab, "transfer"),
    lambda lab: TRANSFER,
    _FIELD_CLAIMS,
    needs=_needs_transfer,
    remark="At the scale mini TREC and MRPC are measured: the probes of the others take more than an hour on two cores.",
)


def _ablation(lab: Lab) -> list[Row]:
    scale, found = lab.scale, [Row(f"{name}, as it is", (name,)) for name in _references(lab)]
    for omega in (0.0, OMEGA):
        corpus = scale.gen(omega)
        curated = scale.curate(corpus)
        for is_curated, mask in product((False, True), repeat=2):
            name = f"ω {omega:g}, {'curated' if is_curated else 'raw'}, {'mask' if mask else 'no mask'}"
            models = tuple(scale.train(curated if is_curated else corpus, seed, mask) for seed in lab.seeds)
            found.append(Row(name, models, {"omega": omega, "curated": is_curated, "mask": mask}, corpus=curated))
    return found


def _references(lab: Lab) -> Sequence[str]:
    return tuple(dict.fromkeys((lab.scale.backbone.base, lab.scale.backbone.reference)))


T3 = Trained(
    "t3",
    "Ablation of the three refinements",
    _ablation,
    claims=always(
        Claim("Contrastive decoding (ω 0.3 against 0)", "omega", OMEGA, 0.0),
        Claim("Curation", "curated", True, False),
        Claim("The mask", "mask", True, False),
    ),
    headline="stsb dev",
)


def _thresholds(lab: Lab) -> list[Row]:
    scale, corpus, found = lab.scale, lab.scale.gen(OMEGA), list[Row]()
    for one in scale.grid:
        curated = scale.curate(corpus, tuple(map(float, one)))  # type: ignore[arg-type]
        models = tuple(scale.train(curated, seed) for seed in lab.seeds)
        found.append(Row(_named(one), models, {"extreme": _is_extreme(one)}))
    return found


def _named(thresholds: Thresholds) -> str:
    alpha, beta, gamma = thresholds
    return f"α {alpha:g}, β {beta:g}, γ {gamma:g}"


def _is_extreme(thresholds: Thresholds) -> bool:
    """As the paper says it: α of 5, or β of 0."""
    return thresholds[0] == 5 or thresholds[1] == 0


T7 = Trained(
    "t7",
    "Self-curation strategies",
    _thresholds,
    claims=always(Claim("A rule that is not extreme (neither α 5 nor β 0)", "extreme", False, True)),
    headline="stsb dev",
    remark="Settings that keep the same triplets share their trainings; where none is kept, there is nothing to train on.",
)


def _sigmas(lab: Lab) -> list[Row]:
    scale, found = lab.scale, list[Row]()
    for backbone in (*scale.backbones, *scale.further):
        base = backbone.base
        found.append(Row(f"{base}, as it is", (base,), {"base": base}))
        for sigma in scale.sigmas:  # ascending: what masks nothing tells that no higher one does
            models = _rows(lab, backbone=backbone, sigma=sigma)
            found.append(Row(f"{base}, σ {sigma:g}", models, {"base": base, "σ": sigma}))
        found.append(Row(f"{base}, no mask", _rows(lab, mask=False, backbone=backbone), {"base": base, "σ": "none"}))
    return found


F6 = Trained(
    "f6",
    "Thresholds of the mask",
    _sigmas,
    claims=always(Claim("The mask at σ 0.9", "σ", 0.9, "none"), Claim("σ 0.9 against a low σ of 0.5", "σ", 0.9, 0.5)),
    curve=Curve("σ", "σ"),
    headline="stsb dev",
    remark="A training in which nothing was masked is the one without a mask.",
)


def _resources(lab: Lab) -> list[Row]:
    scale, found = lab.scale, list[Row]()
    for source, is_nli in ((lab.nli_premises(), True), (lab.other_premises(), False)):
        assert source is not None
        plain, contrast = (scale.gen(omega, premises=source) for omega in (0.0, OMEGA))
        multicsr = tuple(scale.train(scale.curate(contrast), seed) for seed in lab.seeds)
        name = source.rsplit("/", 1)[-1]
        for method, models in (("SimCSE", _simcse(lab, corpus=plain)), ("MultiCSR", multicsr)):
            found.append(Row(f"{method}, {name}", models, {"method": method, "NLI": is_nli}))
    return found


T4 = Trained(
    "t4",
    "Data resources",
    _resources,
    claims=always(
        Claim("MultiCSR against unsupervised SimCSE on the same premises", "method", "MultiCSR", "SimCSE"),
        Claim(
            "NLI premises instead of others, with MultiCSR,",
            "NLI",
            True,
            False,
            among=lambda varied: varied["method"] == "MultiCSR",
        ),
    ),
    headline="stsb dev",
    needs=lambda lab: None if lab.nli_premises() else lab.lacks("snli/s1.dev", "premises of an NLI corpus"),
    remark="The paper compares NLI premises with sentences of Wikipedia; at the scale mini SNLI's with the bundled ones.",
)


def _languages(lab: Lab) -> list[Row]:
    scale, sentences = lab.scale, lab.language.sentences
    prompts = "swahili" if scale.name == "mini" else scale.prompts
    # Without contrast: the LLM of the paper's table hands out no logits.
    corpus = scale.gen(0.0, premises=sentences, prompts=prompts)
    curated = scale.curate(corpus)
    methods = {
        "SimCSE": _simcse(lab, corpus=corpus),
        "LLM": tuple(scale.train(corpus, seed) for seed in lab.seeds),
        "MultiCSR": tuple(scale.train(curated, seed) for seed in lab.seeds),
    }
    rows = [
        Row(scale.llm if name == "LLM" else name, models, {"method": name}, corpus=curated)
        for name, models in methods.items()
    ]
    return [Row(f"{scale.backbone.base}, as it is", (scale.backbone.base,)), *rows]


T5 = Trained(
    "t5",
    "A language with little data: nearest neighbours among translations",
    _languages,
    lambda lab: (lab.language.task,),
    claims=always(
        Claim("The LLM's triplets against unsupervised SimCSE", "method", "LLM", "SimCSE"),
        Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE"),
        Claim("MultiCSR's curation of the LLM's triplets", "method", "MultiCSR", "LLM"),
    ),
    headline="accuracy",
    needs=lambda lab: None if lab.translations() else lab.lacks("tatoeba", "two aligned files of translations"),
    remark="Swahili stands for the paper's Tagalog; the sentences learned from are not among those tested.",
)


LEARNERS: dict[str, dict[str, Any]] = {
    "SimCSE unsup.": {},
    "PromptBERT": {"pooler": "prompt"},
    "RankCSE listNet": {"rank": "listnet"},
    "RankCSE listMLE": {"rank": "listmle"},
}
NOT_HERE = ("InfoCSE", "RankEncoder")


def _learners(lab: Lab) -> list[Row]:
    scale, found = lab.scale, list[Row]()
    for backbone in scale.backbones:
        for learner, told in LEARNERS.items():
            settings = {"teacher": backbone.mask_model, **told} if "rank" in told else told
            alone = tuple(
                scale.train(scale.gen(0.0), seed, backbone=backbone, objective="simcse-unsup", **settings)
                for seed in lab.seeds
            )
            known = _known("sts", backbone.published, learner)
            varied = {"backbone": backbone.base, "learner": learner}
            as_paper = f"{learner} on {backbone.published}"
            found += [
                Row(f"{backbone.base}, {learner}", alone, {**varied, "multicsr": False}, known, as_paper=as_paper),
                Row("  + MultiCSR", _rows(lab, backbone=backbone, **settings), {**varied, "multicsr": True}),
            ]
        for learner in NOT_HERE:
            known = _known("sts", backbone.published, learner)
            found.append(
                Row(f"{backbone.base}, {learner}", (), {}, known, as_paper=f"{learner} on {backbone.published}")
            )
    return found


T6 = Trained(
    "t6",
    "Other base learners with and without MultiCSR",
    _learners,
    _all_sts,
    always(Claim("MultiCSR under each learner", "multicsr", True, False)),
    remark=f"{' and '.join(NOT_HERE)} are not implemented here.",
)


def _retrieval(lab: Lab) -> list[Row]:
    base = lab.scale.backbone.base
    return [
        Row(f"{base}, as it is", (base,)),
        Row("SimCSE", _simcse(lab), {"method": "SimCSE"}),
        Row("MultiCSR", _rows(lab), {"method": "MultiCSR"}),
    ]


T8 = Trained(
    "t8",
    "Zero-shot retrieval (BEIR), nDCG@10",
    _retrieval,
    lambda lab: lab.retrieval,
    always(Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE")),
    remark=f"{BUNDLED_RETRIEVAL} stands in where no BEIR folder is given, and is none: the first sentences of the bundled"
    " test pairs look for the second ones that have a gold score of 4 or more, among all second ones.",
)


PUBLISHED_DEV = {  # Spearman x 100 on STS-B dev, by backbone and L
    "BERT-base": {3: 84.62, 5: 84.71, 0: 84.55},
    "RoBERTa-base": {3: 85.72, 5: 86.01, 0: 85.83},
}


def _shown(lab: Lab, shots: int, similarity: float) -> Node:
    """A corpus for whose premises the nearest triplets of a labelled corpus were shown; premises like its own."""
    lent = {"demonstrations": True, "shots": shots, "min_similarity": similarity} if shots else {}
    return lab.scale.gen(OMEGA, premises=lab.nli_premises(), **lent)


def _demonstrations(lab: Lab) -> list[Row]:
    scale, found = lab.scale, list[Row]()
    for shots, similarity in (*scale.demonstrations, (0, 0.0)):
        curated = scale.curate(_shown(lab, shots, similarity))
        for backbone in scale.backbones:
            models = tuple(scale.train(curated, seed, backbone=backbone) for seed in lab.seeds)
            name = f"L {shots}, λ {similarity:g}" if shots else "no demonstrations"
            known = {"stsb dev": PUBLISHED_DEV[backbone.published][shots]}
            varied = {"backbone": backbone.base, "L": shots}
            found.append(Row(f"{backbone.base}, {name}", models, varied, known, corpus=curated))
    return found


def _demonstrated(lab: Lab) -> list[str]:
    """How far demonstrations reached: a premise without a near one is asked as ever."""
    without = rows_of(lab, _shown(lab, 0, 0.0))
    said = []
    for shots, similarity in lab.scale.demonstrations:
        anew, of = changed(rows_of(lab, _shown(lab, shots, similarity)), without)
        said.append(f"With L {shots} and λ {similarity:g} a hypothesis of {anew:,} of {of:,} premises is another one.")
    return said


T10 = Trained(
    "t10",
    "Demonstrations",
    _demonstrations,
    claims=lambda lab: [Claim(f"{shots} demonstrations", "L", shots, 0) for shots, _ in lab.scale.demonstrations],
    headline="stsb dev",
    needs=lambda lab: None if lab.labelled() else lab.lacks("snli/s2.dev", "labelled NLI pairs"),
    also=_demonstrated,
    remark="At the scale mini both premises and demonstrations are of SNLI's dev set.",
)


def _supervised(lab: Lab) -> list[Row]:
    scale, found, labelled = lab.scale, list[Row](), lab.labelled()
    assert labelled is not None
    for backbone in scale.backbones:
        ours = scale.curate(scale.gen(OMEGA))
        known = _known("sts", backbone.published, "SimCSE sup.")
        for name, models, figures in (
            ("SimCSE sup.", [scale.train(labelled, seed, False, backbone) for seed in lab.seeds], known),
            (
                "MultiCSR + labelled, no mask",
                [scale.train(ours, s, False, backbone, joined=labelled) for s in lab.seeds],
                {},
            ),
            ("MultiCSR + labelled", [scale.train(ours, s, backbone=backbone, joined=labelled) for s in lab.seeds], {}),
        ):
            varied = {"backbone": backbone.base, "method": name}
            as_paper = f"{name} on {backbone.published}"
            found.append(Row(f"{backbone.base}, {name}", tuple(models), varied, figures, as_paper=as_paper))
    return found


T11 = Trained(
    "t11",
    "Supervised: the generated corpus joined with a labelled one",
    _supervised,
    _all_sts,
    always(
        Claim(
            "MultiCSR joined with the labelled corpus against supervised SimCSE",
            "method",
            "MultiCSR + labelled",
            "SimCSE sup.",
        ),
        Claim("The mask on the joined corpus", "method", "MultiCSR + labelled", "MultiCSR + labelled, no mask"),
    ),
    needs=lambda lab: None if lab.labelled() else lab.lacks("snli/s2.dev", "labelled NLI pairs"),
)


def _copies(lab: Lab) -> list[Row]:
    scale, found = lab.scale, list[Row]()
    curated = scale.curate(scale.gen(OMEGA))
    for copies in scale.copies:
        corpus = node("copies", curated, copies=copies)
        for mask in (True, False):
            models = tuple(scale.train(corpus, seed, mask) for seed in lab.seeds)
            how = "with stage 3" if mask else "without stage 3"
            found.append(Row(f"{copies:,} copies, {how}", models, {"copies": copies, "mask": how}))
    return found


F4 = Trained(
    "f4",
    "One triplet duplicated, with and without the mask",
    _copies,
    claims=always(
        Claim(
            "The mask where a triplet is duplicated",
            "mask",
            "with stage 3",
            "without stage 3",
            among=lambda varied: bool(varied["copies"]),
        )
    ),
    curve=Curve("copies", "copies of one triplet"),
    headline="stsb dev",
    remark="By equation 6 a premise's own hypotheses are never masked, which those of its copies are too.",
)

TRAINED = (T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, F4, F6)
