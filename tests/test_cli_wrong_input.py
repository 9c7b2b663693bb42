"""Whatever is wrong with what a user gives: exit 1, one line what, one line what to do, and the store as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from asked import TOML
from conftest import Piped
from shell import Ended, assert_problem, multicsr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "holds no sentence"),
        ("blank.txt", b"\n  \n\t\n", "holds no sentence"),
        ("latin.txt", "fine\nCaf\xe9\n".encode("latin1"), "line 2 is not UTF-8"),
        ("long.txt", b"fine\n" + b"x" * 100_000 + b"\n", "line 2 has 100,000 characters"),
        ("bell.txt", b"fine\nfine\na \x07 bell\n", "line 3 holds the control character U+0007"),
        ("escape.txt", b"\x1b[31mred\n", "line 1 holds the control character U+001B"),
        ("nul.txt", b"a\x00b\n", "line 1 holds the control character U+0000"),
        ("table.csv", b"words,more\na,b\n", "which column"),
        ("short.csv", b"n,text\n1,fine\n2\n", "line 3"),
        ("headless.csv", b"", "which column"),
        ("broken.jsonl", b'{"text": "fine"}\n{"text": \n', "line 2 is not JSON"),
        ("list.jsonl", b"[1, 2]\n", "line 1 is not a JSON object"),
        ("number.jsonl", b'{"text": 3}\n', "line 1"),
        ("other.jsonl", b'{"words": "fine"}\n', "which column"),
    ],
)
def test_premises_that_are_no_sentences(
    wrong: Callable[..., Ended], tmp_path: Path, tiny_llm: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ended = wrong("gen", "--premises", path, "--llm", tiny_llm, says=says)
    assert name in ended.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--premises", "nowhere.txt"), "no premises file nowhere.txt"),
        (("--premises", "."), "is a folder"),
        (("--column", "text"), "--column"),
        (("--premises", "P", "--column", "text"), "--column text goes with"),
        (("--premises", "T", "--column", "nope"), "no column 'nope'"),
        (("--premises", "T", "--column", ""), "no column ''"),
    ],
)
def test_a_premises_file_or_column_that_is_not_there(
    wrong: Callable[..., Ended], premises_file: Path, tmp_path: Path, tiny_llm: Path, args: tuple[str, ...], says: str
) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("n\ttext\n1\tA dog runs.\n")
    files = {"P": premises_file, "T": table}
    wrong("gen", *(files.get(arg, arg) for arg in args), "--llm", tiny_llm, says=says)


NUMBERS = [
    ("gen", "--omega", ("7", "-1.1", "nan", "inf", "abc", "")),
    ("gen", "--omega-contradiction", ("7", "nan")),
    ("gen", "--nu", ("7", "-1.1", "nan", "abc")),
    ("gen", "--limit", ("0", "-3", str(2**64))),
    ("gen", "--max-tokens", ("0", str(10**15))),
    ("gen", "--dtype", ("float16", "")),
    ("gen", "--batch", ("0", "-1", "many", "1.5", "")),
    ("score", "--by", ("guess",)),
    ("score", "--directions", ("three",)),
    ("score", "--scale", ("0-10", "0-1")),  # it was scored by likelihood
    ("score", "--batch", ("0",)),
    ("score", "--dtype", ("int8",)),
    ("curate", "--alpha", ("9", "-0.1", "nan", "x")),
    ("curate", "--beta", ("5.1", "nan")),
    ("curate", "--gamma", ("6", "-inf")),
    ("curate", "--min-contradiction", ("5.1", "-0.1", "nan", "x")),
    ("train", "--sigma", ("nan", "2", "-1.5", "x")),
    ("train", "--tau", ("0", "-1", "nan", "11")),
    ("train", "--lr", ("0", "2", "nan")),
    ("train", "--train-batch", ("1", "0", "-4")),
    ("train", "--chunk", ("0", "-4")),
    ("train", "--epochs", ("0",)),
    ("train", "--max-length", ("3",)),
    ("train", "--eval-every", ("0",)),
    ("train", "--pooler", ("max",)),
    ("train", "--batch", ("0",)),
    ("eval", "--pooler", ("max",)),
    ("eval", "--batch", ("0",)),
    ("eval", "--whiten-dim", ("5", "0")),
    ("eval", "--whiten-column", ("text",)),
    ("eval", "--whiten", ("none.txt",)),
    ("eval", "--plot", ("p.jpg", "none/p.png")),
]


@pytest.mark.parametrize(
    ("command", "flag", "value"),
    [(command, flag, value) for command, flag, values in NUMBERS for value in values],
)
def test_a_value_out_of_range(
    refuse: Callable[..., Ended], piped: Piped, tiny_encoder: Path, command: str, flag: str, value: str
) -> None:
    rest = {"eval": (tiny_encoder, "--pooler", "mean")}.get(command, piped.commands.get(command, (command,))[1:])
    kept = [arg for place, arg in enumerate(rest) if flag not in (arg, rest[place - 1] if place else None)]
    if flag == "--sigma":  # it goes with a mask model, and the trained one records how it pools
        kept = [piped.said["train"].json["checkpoint"] if arg == "none" else arg for arg in kept]
    ended = refuse(command, *kept, f"{flag}={value}")
    assert value in ended.err


def test_sampling_values_out_of_range(wrong: Callable[..., Ended], piped: Piped) -> None:
    gen = piped.commands["gen"]
    wrong(*gen, "--sample", "--temperature", 0, says="--temperature 0")
    wrong(*gen, "--sample", "--top-p", 1.5, says="--top-p 1.5")


def test_options_that_do_not_go_together(refuse: Callable[..., Ended], prompts_file: Path) -> None:
    refuse("score", "--by", "prompt", "--directions", "both", says="--directions both goes with")
    refuse("score", "--by", "likelihood", "--expected", says="--expected goes with")


def test_models_that_are_not_there(wrong: Callable[..., Ended], premises_file: Path, tmp_path: Path) -> None:
    premises = ("gen", "--premises", premises_file, "--llm")
    (tmp_path / "hollow").mkdir()
    wrong(*premises, "nosuch", says="unknown model 'nosuch'")
    wrong(*premises, "", says="unknown model ''")
    wrong(*premises, tmp_path / "nowhere", says="unknown model")
    wrong(*premises, tmp_path / "hollow", says="no config.json")
    ended = wrong(*premises, "someone/some-llm", says="someone/some-llm is not on this machine")
    assert "smollm2" in ended.err  # the embedded way out


def test_models_that_are_no_llm(
    wrong: Callable[..., Ended], premises_file: Path, tmp_path: Path, tiny_llm: Path, tiny_encoder: Path
) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    premises = ("gen", "--premises", premises_file, "--llm")
    shutil.copytree(tiny_llm, tmp_path / "weightless", ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copytree(tiny_llm, tmp_path / "illegible")
    (tmp_path / "illegible" / "config.json").write_text('{"architectures": [')
    small = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9)
    BertForSequenceClassification(small).save_pretrained(tmp_path / "classifier")
    wrong(*premises, tmp_path / "weightless", says="has no weights")
    wrong(*premises, tmp_path / "illegible", says="is not JSON")
    wrong(*premises, tmp_path / "classifier", says="BertForSequenceClassification")
    wrong(*premises, tiny_encoder, says="not a generative language model")
    wrong(*premises, "minilm", says="not a language model")


def test_a_model_whose_weights_are_damaged(copied: Piped, tmp_path: Path, tiny_llm: Path) -> None:
    """It is found out when the weights are read; what was stored before is still there."""
    broken = tmp_path / "broken"
    shutil.copytree(tiny_llm, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    args = copied.commands["gen"]
    before = multicsr("runs", "--db", copied.db, "--json").json["runs"]
    ended = multicsr(*(broken if arg == tiny_llm else arg for arg in args), "--db", copied.db)
    assert_problem(ended)
    assert "cannot be loaded" in ended.err
    after = multicsr("runs", "--db", copied.db, "--json").json["runs"]
    assert [run for run in after if run["run"] in {row["run"] for row in before}] == before


def test_a_chat_prompt_set_for_a_model_without_a_chat_template(copied: Piped, tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text("chat = true\n" + TOML)
    before = multicsr("runs", "--db", copied.db, "--json").json["runs"]
    ended = multicsr(*copied.commands["gen"], "--prompts", path, "--db", copied.db)
    assert_problem(ended)
    assert "no chat template" in ended.err
    assert multicsr("runs", "--db", copied.db, "--json").json["runs"][: len(before)] == before


def test_models_that_are_no_encoder(refuse: Callable[..., Ended], tiny_llm: Path, tiny_encoder: Path) -> None:
    unmasked = ("--mask-model", "none")
    refuse("train", "--base", "nosuch", says="unknown model 'nosuch'")
    refuse("train", "--base", tiny_llm, *unmasked, says="not an encoder")
    refuse("train", "--base", "smollm2", says="not a sentence encoder")
    refuse("train", "--base", tiny_encoder, *unmasked, says="--pooler")
    refuse("train", "--base", tiny_encoder, "--pooler", "mean", "--mask-model", tiny_llm, says="not an encoder")
    refuse("eval", tiny_llm, says="not an encoder")
    refuse("eval", tiny_encoder, says="--pooler")


def test_a_mask_model_that_does_not_record_its_pooling(refuse: Callable[..., Ended], tiny_encoder: Path) -> None:
    refuse("train", "--base", tiny_encoder, "--pooler", "mean", "--mask-model", tiny_encoder, says="pooled")


def test_an_evaluation_of_an_unknown_model_makes_no_store(wrong: Callable[..., Ended]) -> None:
    wrong("eval", "nosuch", says="unknown model 'nosuch'")
    wrong("eval", "abc123", says="abc123")
    wrong("eval", "minilm", "--device", "tpu", says="--device 'tpu'")


def test_a_device_that_is_not_there(wrong: Callable[..., Ended], piped: Piped, refuse: Callable[..., Ended]) -> None:
    import torch

    absent = f"cuda:{torch.cuda.device_count()}"
    for command in ("gen", "score", "train", "eval"):
        for device in (absent, "tpu", "meta", ""):
            refuse(*piped.commands[command], "--device", device, says="--device")
    wrong(*piped.commands["gen"], "--device", absent, says=absent)
