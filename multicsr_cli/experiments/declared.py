"""The experiments whose rows are trained models. Each says which runs, what varies, what is measured, what is claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multicsr_cli.experiments.measured import Claim, Curve, Row, Trained, corpus_name
from multicsr_cli.experiments.plan import Node
from multicsr_cli.experiments.scales import Backbone, Thresholds
from stages import published

if TYPE_CHECKING:
    from multicsr_cli.experiments.lab import Lab

STS = published.tasks("sts")
TRANSFER = published.tasks("transfer")

OMEGA = 0.3  # the paper's contrast


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
    told = {"objective": "simcse-unsup", "backbone": backbone}
    return tuple(scale.train(corpus or scale.gen(0.0), seed, **told) for seed in lab.seeds)


def _syncse(lab: Lab, backbone: Backbone | None = None) -> tuple[Node, ...]:
    """SynCSE: what the LLM wrote without contrast, uncurated and unmasked."""
    return tuple(lab.scale.train(lab.scale.gen(0.0), seed, mask=False, backbone=backbone) for seed in lab.seeds)


# --- t2, t9: against the field


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


_FIELD_CLAIMS = (
    Claim("MultiCSR against unsupervised SimCSE", "method", "MultiCSR", "SimCSE unsup."),
    Claim("MultiCSR against SynCSE with the same LLM", "method", "MultiCSR", "SynCSE, our LLM"),
)

T2 = Trained("t2", "STS tasks", lambda lab: _field(lab, "sts"), _all_sts, _FIELD_CLAIMS)


def _needs_transfer(lab: Lab) -> str | None:
    if lab.there(TRANSFER):
        return None
    return "no transfer task is at hand; --data DIR with MR, SST2, TREC or MRPC of SentEval would do"


T9 = Trained(
    "t9",
    "Transfer tasks",
    lambda lab: _field(lab, "transfer"),
    lambda lab: TRANSFER,
    _FIELD_CLAIMS,
    needs=_needs_transfer,
)


# --- t3: the ablation


def _ablation(lab: Lab) -> list[Row]:
    scale, found = lab.scale, [Row(f"{name}, as it is", (name,)) for name in _references(lab)]
    for omega, omega_c in ((0.0, 0.0), (OMEGA, OMEGA), (OMEGA, 0.0)):
        corpus = scale.gen(omega, omega_c)
        curated = scale.curate(corpus)
        mixed = omega != omega_c  # only where both roles have the same contrast is the grid whole
        for is_curated, mask in (
            ((True, True),) if mixed else ((False, False), (False, True), (True, False), (True, True))
        ):
            name = (
                f"{corpus_name(omega, omega_c)}, {'curated' if is_curated else 'raw'}, {'mask' if mask else 'no mask'}"
            )
            models = tuple(scale.train(curated if is_curated else corpus, seed, mask) for seed in lab.seeds)
            varied = {} if mixed else {"omega": omega, "curated": is_curated, "mask": mask}
            found.append(Row(name, models, varied, corpus=curated))
    return found


def _references(lab: Lab) -> Sequence[str]:
    return tuple(dict.fromkeys((lab.scale.backbone.base, lab.scale.backbone.reference)))


T3 = Trained(
    "t3",
    "Ablation of the three refinements",
    _ablation,
    claims=(
        Claim("Contrastive decoding (ω 0.3 against 0)", "omega", OMEGA, 0.0),
        Claim("Curation", "curated", True, False),
        Claim("The mask", "mask", True, False),
    ),
    headline="stsb dev",
)


# --- t7: curation's thresholds; f6: the mask's


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
    claims=(Claim("Thresholds that are not extreme (neither α 5 nor β 0)", "extreme", False, True),),
    headline="stsb dev",
    remark="Settings that keep the same triplets share their trainings.",
)


def _sigmas(lab: Lab) -> list[Row]:
    found = []
    for sigma in lab.scale.sigmas:  # ascending: what masks nothing tells that no higher one does
        found.append(Row(f"σ {sigma:g}", _rows(lab, sigma=sigma), {"σ": sigma}))
    return [*found, Row("no mask", _rows(lab, mask=False), {"σ": "none"})]


F6 = Trained(
    "f6",
    "Thresholds of the mask",
    _sigmas,
    claims=(Claim("The mask at σ 0.9", "σ", 0.9, "none"), Claim("σ 0.9 against a low σ of 0.5", "σ", 0.9, 0.5)),
    curve=Curve("σ", "σ"),
    headline="stsb dev",
    remark="A training in which nothing was masked is the one without a mask.",
)

TRAINED = (T2, T3, T7, T9, F6)
