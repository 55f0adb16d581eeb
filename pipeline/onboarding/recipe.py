"""The text of a recipe for data about which nothing was known."""

import math
import re
from pathlib import Path

import yaml

from components.common import templates
from components.data.examples import TRAIN_SPLIT
from components.data_validator import statistics
from components.data_validator.checks import Statistics
from components.example_gen.formats import registry
from components.pretrained import efficientnet_lite0
from components.trainer.networks.config import NetworksConfig
from pipeline.onboarding import mirroring, presets
from pipeline.onboarding.suggestion import Suggestion
from pipeline.runners.local import Inspection

_TEMPLATE = Path(__file__).with_name("recipe.yaml.jinja")


def text(suggestion: Suggestion, inspected: Inspection, name: str, preset: str | None) -> str:
    """A recipe, with comments that say what was found and why it is as it is.

    Args:
      suggestion: how to read the data.
      inspected: what was found in them, or in a sample.
      name: from which the pipeline's is made.
      preset: of the trainer; by default the one that suits the data best.

    Raises:
      ValueError: for a preset that does not take the data.
    """
    data, counts = suggestion.data, inspected.ledger.properties
    columns = data.model_dump()["columns"] or ()
    train = inspected.statistics[TRAIN_SPLIT]
    classes = _classes(train)
    whole = inspected.whole
    count = sum(whole.values()) if whole else counts["examples"]
    facts = presets.Facts(
        shape=data.image_shape or (),
        columns=len(columns),
        examples=count,
        train=int(train.datasets[0].num_examples),
        classes=classes,
        gpu=presets.has_gpu(),
        photographic=efficientnet_lite0.is_installed(),
    )
    trainer = presets.section(facts, preset)
    return templates.load(_TEMPLATE).render(
        count=count,
        sampled=f"{counts['examples']:,} of about {count:,}" if whole else None,
        given_splits=len(suggestion.found.splits) > 1,
        # A name of digits is text too.
        name=_yaml(_name(name)),
        path=_yaml(data.path if isinstance(data.path, str) else list(data.path)),
        format=None if data.format == registry.AUTO else data.format,
        labels=data.labels and _yaml(data.labels),
        splits=data.splits and _yaml(data.splits),
        columns=columns and _yaml(columns),
        typed=[_yaml(each) for each in columns] if any(map(_is_typed, columns)) else (),
        image_shape=data.image_shape and _yaml(list(data.image_shape)),
        words=suggestion.summary,
        settings={key: _yaml(value) for key, value in suggestion.settings.items()},
        by_row=suggestion.by_row,
        several_numbers=sum(not column.kind.discrete for column in data.columns or ()) > 1,
        fit=data.fit,
        symmetry=mirroring.symmetry(suggestion),
        rejected=counts["rejected"],
        leaked=counts["leaked"],
        trainer=trainer,
        extractor=extractor(facts, trainer),
    )


def _is_typed(column: object) -> bool:
    """Whether a column in a recipe is more than a name."""
    return not isinstance(column, str)


def _classes(train: Statistics) -> tuple[int, ...]:
    """The sizes of the classes; none if there are no labels, or too many to count."""
    name = statistics.class_feature(train)
    sizes = statistics.counts(statistics.features_of(train)[name]).values() if name else ()
    return tuple(map(int, sizes))


def extractor(facts: presets.Facts, trainer: str) -> str:
    """The kind of extractor: a classifier if there are classes to learn.

    Without, features of photographs tell pictures from blobs of their colours, which features
    learnt from a few thousand images hardly do. Of many images they would take too long on a CPU.
    """
    if facts.classified:
        return "classifier"
    networks = NetworksConfig(**yaml.safe_load(trainer)["trainer"]["networks"])
    in_colour = facts.shape[2:] == (3,)
    photographs = in_colour and facts.photographic and (facts.few or facts.gpu)
    if photographs and networks.pretrained != efficientnet_lite0.NAME:
        return efficientnet_lite0.NAME
    return "self_supervised"


def _name(folder: str) -> str:
    """A name for the pipeline, from that of a folder."""
    words = re.sub(r"[^a-z0-9]+", "-", folder.lower())
    return words.strip("-")[:63] or "gan"


def _yaml(value: object) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=math.inf, sort_keys=False
    )
    return text.removesuffix("...\n").strip()
