"""What the settings of a run mean, one line each, in the paper's terms (MultiCSR, with its equations)."""

from __future__ import annotations

TERMS = {
    # gen, import
    "premises": "the unlabeled sentences x, with a digest of their texts",
    "base_url": "the server that a hosted LLM is asked at",
    "method": "how the hypotheses came here: import, or claif for nine rewrites a premise; MultiCSR's own unless it is named",
    "llm": "the language model C",
    "prompts": "the set of instructions I",
    "demonstrations": "the labelled corpus whose triplets are shown with a premise",
    "min_similarity": "λ: only those whose premise is at least this similar are shown",
    "omega": "ω: how much of the opposite instruction's logits is taken away when x+ is written, l - ω·l̂ (eq. 1-2)",
    "omega_contradiction": "the same when x- is written",
    "nu": "ν: how much of the same instruction's logits without any premise is taken away; not in the paper",
    "limit": "premises taken; - for all",
    "max_tokens": "tokens at which a hypothesis is cut off",
    "sample": "drawn from the softmax, or the likeliest token each time",
    "temperature": "of the softmax that is drawn from",
    "top_p": "share of the probability that is drawn from",
    # score
    "by": "a and b asked for in a prompt, or read off how likely the hypothesis is; or an encoder's cosine, or an NLI"
    " classifier's P(entailment), times 5",
    "expected": "mean over the scores the LLM might give, or the one it gives",
    "scale": "what the LLM was asked on: 0-1 with a reason, as in CLAIF, or 0 to 5; stored is 0 to 5",
    "directions": "likelihood of the hypothesis given the premise, or both ways",
    # curate
    "alpha": "α: keep only a ≥ α, a = sim(x, x+) (eq. 4)",
    "beta": "β: keep only b ≤ β, b = sim(x, x-) (eq. 4)",
    "gamma": "γ: keep only a ≥ b + γ (eq. 4)",
    "min_contradiction": "keep only b at least this: what scores lower is too easy a negative; not in the paper",
    "strategy": "claif: pairs are decided on, not triplets",
    "drop_copies": "drop hypotheses that repeat their premise; not in the paper",
    "drop_duplicates": "drop triplets that repeat another one; not in the paper",
    "swap_reversed": "change roles where a < b, as the released code does; the paper drops such triplets",
    # train
    "base": "the encoder G that is trained",
    "objective": "what training minimises; MultiCSR's masked loss (eq. 5-7) unless it is named",
    "clhaif": "positive: s_i weighs the positive alone; all: the other columns share 1 - s_i",
    "with_runs": "the runs whose triplets, of labelled corpora, join the parent's (appendix G)",
    "mask_model": "the frozen encoder P that finds false negatives, or demonstrations",
    "sigma": "σ: a negative at least this similar to the premise, by P, is masked (eq. 5)",
    "tau": "τ: temperature of the contrastive loss (eq. 6-7)",
    "rank": "RankCSE: consistent rankings, and a teacher's, learned by listNet or listMLE",
    "teacher": "the frozen encoder whose rankings are learned",
    "train_batch": "N: triplets a step, each with 2N - 1 negatives before masking",
    "epochs": "times each triplet is seen",
    "lr": "learning rate",
    "max_length": "tokens a sentence is cut to while training",
    "pooler": "how the vectors of tokens become one",
    "seed": "of everything drawn",
    "dev": "the task that chooses the step",
    "eval_every": "steps between two measurements on it",
    "dtype": "number format of the computation",
    # eval
    "model": "what is measured",
    "tasks": "on what it is measured",
    "split": "of the tasks' data",
    "shots": "examples the LLM is shown with each premise (L) or pair",
    "whiten": "the sentences that a whitening of the vectors was learned from; for train, its own",
    "whiten_dim": "dimensions that whitening leaves",
    "analysis": "alignment and uniformity measured too",
}
