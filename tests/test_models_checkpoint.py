"""What is on disk: checkpoints other libraries load, refusals, folders that appear whole, fingerprints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, models
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForSequenceClassification

from stages.config.words import POOLERS
from stages.models import catalog, checkpoint, loading
from stages.models.encoder import pooling
from stages.models.encoder.model import Encoder
from stages.tasks.whitening import Whitening
from store.problem import Problem

CPU = torch.device("cpu")
LONGEST = 40  # tokens; some of the premises are longer, with a template around them most


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_llama(tmp_path_factory.mktemp("llm") / "llama")


def trained(bert: Path, pooler: str) -> Encoder:
    """An encoder whose weights are its own: those of the base, each matrix moved a little."""
    found = loading.trainable(catalog.locate(str(bert), "encoder"), CPU, pooler, seed=5)
    generator = torch.Generator().manual_seed(6)
    for weight in found.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    found.max_length = found.tokenizer.model_max_length = LONGEST
    return found


@pytest.fixture(params=POOLERS)
def saved(request: pytest.FixtureRequest, bert: Path, tmp_path: Path) -> tuple[Encoder, Path]:
    encoder = trained(bert, request.param)
    checkpoint.save(encoder, tmp_path / "model", "# a card\n")
    return encoder, tmp_path / "model"


def test_sentence_transformers_gives_our_vectors(saved: tuple[Encoder, Path]) -> None:
    """SentenceTransformer(folder) to 1e-5, texts longer than max_length among them."""
    encoder, folder = saved
    theirs = SentenceTransformer(str(folder), device="cpu").encode(tiny.premises())
    np.testing.assert_allclose(theirs, encoder.encode(tiny.premises()), atol=1e-5)


@pytest.mark.parametrize("pooler", pooling.WITH_LAST)
def test_two_layers_of_a_roberta_are_averaged_in_sentence_transformers_too(tmp_path: Path, pooler: str) -> None:
    encoder = trained(tiny.save_tiny_roberta(tmp_path / "roberta"), pooler)
    checkpoint.save(encoder, tmp_path / "model", "")
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(tiny.premises())
    np.testing.assert_allclose(theirs, encoder.encode(tiny.premises()), atol=1e-5)
    again = loading.encoder(catalog.locate(str(tmp_path / "model"), "encoder"), CPU)
    assert again.pooler == pooler
    assert np.array_equal(again.encode(tiny.premises()), encoder.encode(tiny.premises()))


@pytest.mark.parametrize(
    ("start", "weights", "pooler"),
    [
        (0, [0, 1, 0, 1], "first_last_mean"),
        (0, [2, 0, 0, 2], "embeddings_last_mean"),
        (1, [1, 0, 1], "first_last_mean"),
        (0, [1, 1, 1, 1], None),
        (0, [1, 0, 0, 3], None),
        (0, [0, 0, 0, 1], None),
        (2, [1, 1], None),
    ],
)
def test_what_others_average_is_known_by_their_weights(
    bert: Path, tmp_path: Path, start: int, weights: list[int], pooler: str | None
) -> None:
    """A folder as sentence-transformers writes it: read as one of ours where it gives the same vectors, else refused."""
    layers = models.WeightedLayerPooling(tiny.WIDTH, 3, start, torch.nn.Parameter(torch.tensor(weights).float()))
    words = models.Transformer(str(bert), config_args={"output_hidden_states": True})
    theirs = SentenceTransformer(modules=[words, layers, models.Pooling(tiny.WIDTH, "mean")], device="cpu")
    theirs.save(str(tmp_path / "model"))
    found = catalog.locate(str(tmp_path / "model"), "encoder")
    if pooler is None:
        with pytest.raises(Problem, match="not supported"):
            pooling.pooling_of(found)
    else:
        assert pooling.pooling_of(found) == pooler
        ours = loading.encoder(found, CPU).encode(tiny.premises())
        np.testing.assert_allclose(ours, theirs.encode(tiny.premises()), atol=1e-5)


@torch.inference_mode()
def test_transformers_gives_our_vectors(saved: tuple[Encoder, Path]) -> None:
    """AutoModel and the pooler's formula by hand, to 1e-5; for cls that is `pooler_output`."""
    encoder, folder = saved
    model, words = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, expected in zip(tiny.premises(), encoder.encode(tiny.premises()), strict=True):
        read = words(text, truncation=True, max_length=LONGEST, return_tensors="pt")
        out = model(**read, output_hidden_states=True)
        by_hand = {
            "mean": out.last_hidden_state[0].mean(0),
            "cls": out.pooler_output[0],
            "cls_before_pooler": out.last_hidden_state[0, 0],
            "prompt": out.last_hidden_state[0, read.input_ids[0] == words.mask_token_id].sum(0),  # one, or none
            "first_last_mean": ((out.hidden_states[1] + out.hidden_states[-1]) / 2)[0].mean(0),
            "embeddings_last_mean": ((out.hidden_states[0] + out.hidden_states[-1]) / 2)[0].mean(0),
        }
        np.testing.assert_allclose(by_hand[encoder.pooler].numpy(), expected, atol=1e-5)


def test_a_checkpoint_loads_as_what_was_saved(saved: tuple[Encoder, Path]) -> None:
    """locate and loading.encoder: the same pooler, length and vectors, with no need to say them."""
    encoder, folder = saved
    found = catalog.locate(str(folder), "encoder")
    again = loading.encoder(found, CPU)
    assert (pooling.pooling_of(found), again.pooler, again.max_length) == (encoder.pooler, encoder.pooler, LONGEST)
    assert np.array_equal(again.encode(tiny.premises()), encoder.encode(tiny.premises()))
    assert (folder / "README.md").read_text() == "# a card\n"


def test_a_checkpoint_saved_again_is_the_same_model(saved: tuple[Encoder, Path], tmp_path: Path) -> None:
    """Load and save: the weights, and so the fingerprint, stay."""
    _, folder = saved
    found = catalog.locate(str(folder), "encoder")
    checkpoint.save(loading.encoder(found, CPU), tmp_path / "again", "# another card\n")
    assert catalog.locate(str(tmp_path / "again"), "encoder").fingerprint == found.fingerprint


@pytest.mark.parametrize("pooler", POOLERS)
def test_a_whitened_encoder_is_one_everywhere(bert: Path, tmp_path: Path, pooler: str) -> None:
    """Mean 0 and covariance I over the sentences that it was learned from; the same in sentence-transformers, in a loop over
    (x - mean) W, and loaded again. Another pooler, or a training, begins without it."""
    encoder = trained(bert, pooler)
    texts = tiny.premises() + tiny.CORPUS
    plain = encoder.encode(texts)
    learned = Whitening.learn([plain], 5)
    encoder.whiten(learned.mean, learned.matrix)
    found = encoder.encode(texts)
    by_hand = [
        [sum((x - m) * w for x, m, w in zip(row, learned.mean, column, strict=True)) for column in learned.matrix.T]
        for row in plain
    ]
    np.testing.assert_allclose(found, by_hand, atol=1e-4)
    assert encoder.width == 5
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    checkpoint.save(encoder, tmp_path / "model", "# a card\n")
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(texts)
    np.testing.assert_allclose(theirs, found, atol=1e-4)
    there = catalog.locate(str(tmp_path / "model"), "encoder")
    again = loading.encoder(there, CPU)
    assert (again.pooler, again.width) == (pooler, 5)
    assert np.array_equal(again.encode(texts), found)
    other = "mean" if pooler != "mean" else "cls_before_pooler"
    assert loading.encoder(there, CPU, other).whitening is None
    assert loading.trainable(there, CPU, pooler, 0).whitening is None


def test_a_whitening_is_part_of_what_a_model_is(bert: Path, tmp_path: Path) -> None:
    prints = set()
    for number, dim in enumerate((None, 3, 4)):
        encoder = trained(bert, "mean")
        if dim:
            learned = Whitening.learn([encoder.encode(tiny.CORPUS)], dim)
            encoder.whiten(learned.mean, learned.matrix)
        checkpoint.save(encoder, tmp_path / str(number), "# a card\n")
        prints.add(catalog.locate(str(tmp_path / str(number)), "encoder").fingerprint)
    assert len(prints) == 3


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Tensors and plain values, to the last bit."""
    state = {
        "step": 3,
        "model": {"w": torch.randn(3, 2)},
        "best": {},
        "optimiser": {"state": {0: {"step": torch.tensor(3.0)}}},
    }
    checkpoint.save_state(state, tmp_path / "step-3")
    found = checkpoint.load_state(tmp_path / "step-3", CPU)
    assert found["step"] == 3
    assert found["best"] == {}
    assert torch.equal(found["model"]["w"], state["model"]["w"])
    assert float(found["optimiser"]["state"][0]["step"]) == 3.0


def test_whole_leaves_the_old_folder_when_filling_fails(tmp_path: Path) -> None:
    """What was there stays, nothing half-written is left beside it, and the error goes on."""
    folder = tmp_path / "deep" / "model"
    checkpoint.whole(folder, lambda target: (target / "a").write_text("old"))

    def fails(target: Path) -> None:
        (target / "a").write_text("new")
        (target / "part").mkdir()
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        checkpoint.whole(folder, fails)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("a", "old")]
    assert list(folder.parent.iterdir()) == [folder]


def test_whole_replaces_the_old_folder(tmp_path: Path) -> None:
    """Files of the old content do not stay among the new; `fill` never writes in the place itself."""
    folder = tmp_path / "model"
    checkpoint.whole(folder, lambda target: (target / "old").write_text("1"))
    places: list[Path] = []

    def fill(target: Path) -> None:
        places.append(target)
        assert (folder / "old").read_text() == "1"
        (target / "new").write_text("2")

    checkpoint.whole(folder, fill)
    assert places[0].parent == folder.parent
    assert places[0] != folder
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in folder.iterdir()] == ["new"]


# -- what cannot be used ---------------------------------------------------------------------------------------------


def without_pooler_weights(bert: Path, folder: Path) -> Path:
    shutil.copytree(bert, folder)
    weights = {name: value for name, value in load_file(bert / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_cls_without_a_trained_pooler_is_refused(bert: Path, tmp_path: Path) -> None:
    """transformers would draw it at random; the other poolers of the same folder work."""
    found = catalog.locate(str(without_pooler_weights(bert, tmp_path / "bare")), "encoder")
    with pytest.raises(Problem, match="no trained pooler"):
        loading.encoder(found, CPU, "cls")
    for pooler in ("mean", "cls_before_pooler", "first_last_mean"):
        assert np.isfinite(loading.encoder(found, CPU, pooler).encode(["Rain."])).all()
    assert loading.trainable(found, CPU, "cls", seed=0).mlp is not None


def test_an_encoder_that_records_no_pooling_asks_for_it(bert: Path) -> None:
    """A plain transformers folder is not guessed at."""
    with pytest.raises(Problem, match="how its tokens are pooled") as refused:
        loading.encoder(catalog.locate(str(bert), "encoder"), CPU)
    assert "pooler=NAME" in refused.value.remedy


@pytest.mark.parametrize("change", [{"pooling_mode_max_tokens": True}, {"pooling_mode_mean_tokens": False}])
def test_a_pooling_we_do_not_have_is_refused(bert: Path, tmp_path: Path, change: dict[str, bool]) -> None:
    """Max pooling, or several at once, or none, is another vector."""
    checkpoint.save(trained(bert, "mean"), tmp_path / "m", "")
    config = tmp_path / "m" / "1_Pooling" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(Problem, match="not supported"):
        loading.encoder(catalog.locate(str(tmp_path / "m"), "encoder"), CPU)


def test_the_wrong_kind_is_refused(bert: Path, llama: Path, tmp_path: Path) -> None:
    """Encoder for LLM and LLM for encoder, a classifier for an LLM, by folder and by alias; the name is in the text."""
    config = BertConfig(vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "classifier")
    for name, kind in [
        (str(bert), "llm"),
        (str(tmp_path / "classifier"), "llm"),
        (str(llama), "encoder"),
        ("smollm2", "encoder"),
        ("flan-t5-base", "encoder"),
        ("minilm", "llm"),
        ("bert-base", "llm"),
    ]:
        with pytest.raises(Problem, match=r"not an?\b") as refused:
            catalog.locate(name, kind)
        assert name in refused.value.what
        assert refused.value.remedy


def test_what_is_no_model_is_refused(bert: Path, tmp_path: Path) -> None:
    """No weights, no config, a broken config, an empty folder, a name nobody knows: each in its own words."""

    def folder(name: str, damage: Callable[[Path], object]) -> str:
        shutil.copytree(bert, tmp_path / name)
        damage(tmp_path / name)
        return str(tmp_path / name)

    (tmp_path / "empty").mkdir()
    for name, words in [
        (folder("bare", lambda at: (at / "model.safetensors").unlink()), "no weights"),
        (folder("blank", lambda at: (at / "config.json").unlink()), "no config.json"),
        (folder("broken", lambda at: (at / "config.json").write_text('{"a": ')), "not JSON"),
        (folder("list", lambda at: (at / "config.json").write_text("[]")), "config.json"),
        (str(tmp_path / "empty"), "no config.json"),
        ("no-such-model", "unknown model"),
        (str(tmp_path / "nowhere"), "unknown model"),
        ("../nowhere", "unknown model"),
    ]:
        with pytest.raises(Problem, match=words) as refused:
            catalog.locate(name, "encoder")
        assert name in refused.value.what


@pytest.mark.parametrize("broken", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_refused_not_a_traceback(bert: Path, tmp_path: Path, broken: str) -> None:
    """Half a weight file, half a tokenizer."""
    shutil.copytree(bert, tmp_path / "m")
    whole = (bert / broken).read_bytes()
    (tmp_path / "m" / broken).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Problem, match="cannot be loaded"):
        loading.encoder(catalog.locate(str(tmp_path / "m"), "encoder"), CPU, "mean")
