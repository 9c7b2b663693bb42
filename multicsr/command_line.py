"""The command that makes a run, as a shell takes it. Arrow: run -> words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.config import class_of
from stages.settings import Described, settings_of
from store.records import Run

if TYPE_CHECKING:
    from store.database import Store

# Noted with a run, and no settings of it: where the files of its settings lie, and how they are read.
PLACES = ("column", "task", "data", "probe", "whiten_column")

# The two files of --bitext.
TRANSLATIONS = ("bitext_first", "bitext_second")


def command_line(store: Store, run: Run) -> str:
    """The command that makes (or resumes) a run; settings that are the command's own defaults are left out."""
    from store.read.runs import environment

    noted = environment(store, run)
    if run.config.get("method") == "import":
        columns = ["--columns", noted["columns"]] if "columns" in noted else []
        return shlex.join(["multicsr", "import", noted.get("file", "FILE"), *columns])
    words = ["multicsr", run.stage, *_subject(run, noted)]
    for one in settings_of(class_of(run.stage, run.config)):
        words += flag_words(one, noted.get(one.name) if one.known.noted else run.config.get(one.name))
    if run.config.get("base_url"):  # found for a run, by what is no setting but the server of its LLM
        words += ["--base-url", run.config["base_url"]]
    for name in PLACES:
        if name in noted and (name, noted[name]) != ("probe", "adam"):
            words += [f"--{name.replace('_', '-')}", noted[name]]
    return shlex.join(words)


def flag_words(one: Described, value: Any) -> list[str]:
    """A setting as the words that set it; none for a value that is its default, or that is not there."""
    flag = one.known.flag or f"--{one.name.replace('_', '-')}"
    if value is None or value is False or value == one.default:
        return []
    if one.type is tuple:
        return [word for part in value for word in (flag, str(part))]
    return [flag] if value is True else [flag, str(value)]


def _subject(run: Run, noted: Mapping[str, str]) -> list[str]:
    """What a command is about: the parent run, or the model of an evaluation and its tasks."""
    if run.stage != "eval":
        return [run.parent] if run.parent else []
    from stages.tasks.bitext import called

    translations = [noted[name] for name in TRANSLATIONS if name in noted]
    own = {Path(noted.get("task", "")).name, *([called(*map(Path, translations))] if translations else [])}
    tasks = ",".join(task for task in run.config["tasks"] if task not in own)
    return [
        *(["--scorer"] if "by" in run.config else []),  # an encoder has no reading
        run.config["model"],
        *(["--bitext", *translations] if translations else []),
        *(["--tasks", tasks] if tasks else []),
    ]
