"""What is found is one thing; what is said of it depends on the other claims of the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from multicsr.paper import claims
from multicsr.paper.claims import NoVerdict, at_chance, family, over_items, over_trainings
from stages.tasks.compare import Correlation, Mean, bootstrap
from stages.tasks.hierarchy import Effect, resampled
from stages.tasks.metrics import holm

numbers = np.random.default_rng


def found_so(effect: float, p: float, what: str = "It", claimed: bool = True) -> claims.Tested:
    return claims.Tested(what, Effect(effect, effect - 1, effect + 1, p), "5 seeds", claimed, parts=(("mini", effect),))


def said(one: claims.Said, *others: claims.Said) -> str:
    return claims.sentences([one], family([one, *others]))[0]


def test_a_claim_is_one_sentence_with_one_verdict() -> None:
    assert said(found_so(1.5, 0.01)) == (
        "It: better, +1.50 (95 % interval +0.50 to +2.50; p = 0.010 by Holm over 1 claim; 5 seeds; mini +1.50)."
        " The paper's claim holds here."
    )
    assert "It: worse, -1.50" in said(found_so(-1.5, 0.01))
    assert said(found_so(-1.5, 0.01)).endswith("The paper's claim does not hold here.")
    assert "It: no difference that can be shown, +1.50" in said(found_so(1.5, 0.2))
    assert said(found_so(1.5, 0.2)).endswith("The paper's claim is not shown here.")
    assert "claim holds" not in said(found_so(1.5, 0.01, claimed=False))


def test_the_more_is_claimed_on_a_page_the_more_a_claim_must_show() -> None:
    alone = found_so(1.5, 0.01)
    assert "better" in said(alone)
    others = [found_so(0.1, 0.5 + place / 100, f"other {place}") for place in range(9)]
    assert "no difference that can be shown" in said(alone, *others)
    assert "p = 0.100 by Holm over 10 claims" in said(alone, *others)


def test_a_family_is_the_tests_of_a_page_each_once() -> None:
    """What has no verdict was not tested, and the same evidence said twice is one test."""
    first, second = found_so(1.0, 0.01), found_so(2.0, 0.03, "That")
    found = family([first, "a sentence", NoVerdict("No", "why"), second, found_so(1.0, 0.01)])
    assert list(found.values()) == holm([0.01, 0.03])
    assert found == family([second, first])


def test_what_has_no_verdict_says_why() -> None:
    without = NoVerdict("The mask", "no verdict: the mask removed nothing", (("mini", 0.5),))
    assert said(without) == "The mask: no verdict: the mask removed nothing (mini +0.50)."
    assert said("A sentence.") == "A sentence."


def test_the_document_tells_the_numbers() -> None:
    both = [found_so(1.0, 0.02), NoVerdict("That", "no verdict: few")]
    told = json.loads(json.dumps(claims.records(both, family([*both, found_so(3.0, 0.5, "third")]))))
    assert [one["claim"] for one in told] == ["It", "That"]
    assert (told[0]["effect"], told[0]["p"], told[0]["adjusted_p"], told[0]["why"]) == (1.0, 0.02, 0.04, None)
    assert (told[1]["effect"], told[1]["p"], told[1]["adjusted_p"], told[1]["why"]) == (
        None,
        None,
        None,
        "no verdict: few",
    )
    assert told[0].keys() == told[1].keys()


def test_over_items_it_is_the_paired_bootstrap() -> None:
    better, worse = (100.0 * (numbers(seed).random(80) < rate) for seed, rate in ((0, 0.9), (1, 0.6)))
    found = over_items("It", better, worse, "premises", says=("more", "less"))
    assert isinstance(found, claims.Tested)
    reference = bootstrap(Mean("share", better / 100), Mean("share", worse / 100))
    assert found.effect == pytest.approx((reference.difference, reference.low, reference.high, reference.p))
    assert found.effect.effect == pytest.approx(better.mean() - worse.mean())
    assert found.over == "80 premises"
    assert "It: more, +" in said(found)


def test_few_items_or_trainings_decide_nothing() -> None:
    few = over_items("It", [1.0] * 29, [0.0] * 29, "premises")
    assert said(few) == "It: not enough premises to tell: 29, and it takes 30."
    four = over_trainings("It", [2.0, 2.1, 2.2, 2.3], [1.0] * 4, "batch sizes")
    assert said(four) == "It: not enough trainings to tell: 4 batch sizes, and it takes 5."
    five = over_trainings("It", [2.0, 2.1, 2.2, 2.3, 2.4], [1.0] * 5, "batch sizes", says=("longer", "shorter"))
    assert "It: longer, +1.20" in said(five)


def test_a_scorer_is_at_chance_where_its_interval_holds_nothing_too() -> None:
    gold = numbers(0).integers(0, 6, 60) / 2
    near, noise = numbers(2).normal(0, 0.5, 60), numbers(1).normal(0, 1, 60)
    for scores, is_so in ((noise, True), (gold + near, False), (near - gold, False), (np.zeros(60), True)):
        assert at_chance(resampled(Correlation(scores, gold), "mini")[1:]) == is_so
