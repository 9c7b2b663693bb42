"""PromptBERT's template (Jiang et al., 2022): a sentence stands in a cloze, its vector is read at the gap.

    [CLS] This sentence : " x " means [MASK] . [SEP]        h(x) = hidden state at [MASK]

What the template says by itself is taken away in training (template denoising): the template without the sentence, its
tokens at the positions they have around it, has a vector too, and vectors h(x) - h(template) are compared. Unsupervised
training reads the second view of a sentence in a second template. At test the vector is h(x) as it is.

The template is put into the tokenizer, so that it stands around a text wherever the saved model is loaded. That
tokenizer takes special tokens written in a text apart: the only mask is the template's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from store.problem import Problem

# Of the templates that PromptBERT searched, the pair that its BERT is trained with.
BEFORE, SECOND_BEFORE = 'This sentence : "', 'This sentence of "'
AFTER, END = '" means', " ."


class ClozeTemplate(NamedTuple):
    """Token ids before a sentence, in the first template and in the second, and after it; `mask` counts from the end."""

    before: list[int]
    second_before: list[int]
    after: list[int]
    mask: int

    def second(self, row: list[int]) -> list[int]:
        """The ids of a text in the first template -> in the second."""
        return self.second_before + row[len(self.before) :]


def put_into(tokenizer: Any, name: str, longest: int) -> tuple[PreTrainedTokenizerFast, ClozeTemplate]:
    """`tokenizer` with the template around each text, `longest` tokens in all; one that has it already stays the same.

    Raises Problem where the model `name` has no mask, or no token before and behind a text.
    """
    ends = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    gap = [tokenizer.mask_token_id]
    if None in (*ends[0], *ends[1], *gap):
        raise Problem(
            f"{name} has no mask token between a first and a last token, which pooler=prompt reads its vectors at",
            "train a BERT or RoBERTa, or use another pooler",
        )

    def ids(words: str) -> list[int]:
        tokens: list[int] = tokenizer(words, add_special_tokens=False).input_ids
        return tokens

    end = ids(END) + ends[1]
    template = ClozeTemplate(ends[0] + ids(BEFORE), ends[0] + ids(SECOND_BEFORE), ids(AFTER) + gap + end, -1 - len(end))
    inner = tokenizer.backend_tokenizer
    pieces = [
        {"id": piece, "ids": part, "tokens": tokenizer.convert_ids_to_tokens(part)}
        for piece, part in (("before", template.before), ("after", template.after))
    ]
    inner.post_processor = TemplateProcessing(single="before $A after", special_tokens=pieces)
    special = tokenizer.special_tokens_map
    # The class of the model's own tokenizer would put its own special tokens around a text again when it is loaded.
    plain = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=longest, split_special_tokens=True, **special
    )
    return plain, template
