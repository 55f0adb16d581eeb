"""The recipe: one validated tree, loaded from YAML."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml
from pydantic import Field, field_validator

from components.common.config import Config, validate
from components.converter.config import ConverterConfig
from components.data.examples import TRAIN_SPLIT
from components.data_validator.config import ValidationConfig
from components.evaluator.config import EvaluatorConfig
from components.example_gen.config import DataConfig
from components.example_gen.dataset import Dataset
from components.feature_extractor.config import DEFAULT_KINDS, FeatureExtractorConfig
from components.infra_validator.config import InfraValidatorConfig
from components.trainer.config import TrainerConfig
from components.tuner import task
from components.tuner.config import TunerConfig
from pipeline.kubeflow.config import KubeflowConfig, Resources, Stage

# Beam's default runner downloads a binary at run time.
LOCAL_BEAM = ("--runner=FnApiRunner",)
_Section = TypeVar("_Section", TrainerConfig, FeatureExtractorConfig, ConverterConfig)
# An omitted section, before validation.
_EMPTY: Any = {}


class PusherConfig(Config):
    """Where a blessed generator is pushed."""

    serving_dir: str | None = Field(
        None, description="path or URI for <version>/ folders; default: <root>/serving"
    )
    keep_last: int | None = Field(
        None, ge=1, description="versions that stay there after a push; default: all"
    )


class Recipe(Config):
    """Everything that a run depends on."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        max_length=63,
        description="name of the pipeline: lower-case letters, digits and hyphens",
    )
    data: DataConfig
    validation: ValidationConfig = ValidationConfig()
    trainer: TrainerConfig
    tuner: TunerConfig | None = Field(
        None, description="a search for better values of the section trainer; null: none"
    )
    # If omitted, its kind follows from the data.
    feature_extractor: FeatureExtractorConfig = Field(_EMPTY)
    converter: ConverterConfig = ConverterConfig()
    evaluator: EvaluatorConfig
    infra_validator: InfraValidatorConfig = InfraValidatorConfig()
    pusher: PusherConfig = PusherConfig()
    beam: tuple[str, ...] = Field(LOCAL_BEAM, description="arguments of the Beam runner")
    resources: dict[Stage, Resources] = Field({}, description="per stage, on a cluster")
    kubeflow: KubeflowConfig = KubeflowConfig()

    @field_validator("feature_extractor", mode="before")
    @classmethod
    def _extractor_is_of_the_data(cls, section: object, info: pydantic.ValidationInfo) -> object:
        if "data" not in info.data or not isinstance(section, Mapping):
            return section
        return {"kind": DEFAULT_KINDS[len(info.data["data"].spec.shape)], **section}

    @field_validator("data")
    @classmethod
    def _has_both_splits(cls, data: DataConfig) -> DataConfig:
        if data.eval_fraction is None:
            raise ValueError("eval_fraction: null; a run needs a fraction to evaluate on")
        return data

    @field_validator("trainer", "feature_extractor", "converter")
    @classmethod
    def _section_fits_the_data(cls, section: _Section, info: pydantic.ValidationInfo) -> _Section:
        if "data" in info.data:
            section.check_shape(info.data["data"].spec.shape)
        return section

    @field_validator("tuner")
    @classmethod
    def _the_trainer_takes_what_is_searched(
        cls, section: TunerConfig | None, info: pydantic.ValidationInfo
    ) -> TunerConfig | None:
        if section and {"data", "trainer"} <= set(info.data):
            task.check(section, info.data["trainer"], info.data["data"].spec)
        return section

    @field_validator("feature_extractor")
    @classmethod
    def _features_are_not_those_trained_against(
        cls, section: FeatureExtractorConfig, info: pydantic.ValidationInfo
    ) -> FeatureExtractorConfig:
        networks = info.data["trainer"].networks if "trainer" in info.data else None
        if networks and networks.pretrained and networks.pretrained == section.pretrained:
            raise ValueError(
                f"kind: {section.kind} has the features that the generator is trained against by "
                f"trainer.networks.discriminator: {networks.discriminator}, so it cannot judge it; "
                "use inception_v3, self_supervised or, with labels, classifier"
            )
        return section

    @field_validator("feature_extractor")
    @classmethod
    def _clusters_are_not_of_a_classifiers_features(
        cls, section: FeatureExtractorConfig, info: pydantic.ValidationInfo
    ) -> FeatureExtractorConfig:
        conditioning = info.data["trainer"].conditioning if "trainer" in info.data else None
        if conditioning and conditioning.by == "clusters" and section.kind == "classifier":
            raise ValueError(
                "kind: classifier knows the labels, so trainer.conditioning.by: clusters is of no "
                "use; ask by label, or use self_supervised or efficientnet_lite0"
            )
        return section

    def with_section(self, name: str, **values: object) -> "Recipe":
        """A copy with other values in the section `name`, which are not validated."""
        return self.model_copy(update={name: getattr(self, name).model_copy(update=values)})

    def settled(self) -> "Recipe":
        """With what the recipe leaves to this machine; call it before TensorFlow computes."""
        return self.model_copy(update={"trainer": self.trainer.settled()})

    def to_yaml(self) -> str:
        """The resolved configuration."""
        return yaml.safe_dump(
            self.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True
        )


def load(path: str, overrides: Sequence[str] = (), needs: Sequence[str] = ()) -> Recipe:
    """Loads a recipe.

    Args:
      path: YAML file; relative paths in it are relative to its folder.
      overrides: `key=value`, the key dotted (`trainer.batch_size=64`), the value YAML.
      needs: sections that have their defaults if the recipe leaves them out.

    Raises:
      FileNotFoundError: for a missing file.
      ValueError: in one line, naming every key that is unknown, missing or wrong.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such recipe")
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: expected a mapping with sections such as data: and trainer:")
    for section in needs:
        tree[section] = {} if tree.get(section) is None else tree[section]
    for override in overrides:
        override_in(tree, override)
    try:
        recipe = validate(Recipe, tree)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    folder = os.path.dirname(os.path.abspath(path))
    data, reference = recipe.data, recipe.validation.reference
    recipe = recipe.with_section(
        "data",
        path=absolute(data.path, folder)
        if isinstance(data.path, str)
        else tuple(absolute(each, folder) for each in data.path),
        schema_path=data.schema_path and absolute(data.schema_path, folder),
    )
    recipe = recipe.with_section("validation", reference=reference and absolute(reference, folder))
    if weights := recipe.feature_extractor.weights_file:
        recipe = recipe.with_section("feature_extractor", weights=absolute(weights, folder))
    return recipe


def check_data(recipe: Recipe) -> Dataset:
    """Finds the data and checks them against the recipe, before anything runs.

    Returns:
      The data.

    Raises:
      FileNotFoundError, ValueError: for data that are missing or unreadable, have another image
        size, or do not fill a batch.
    """
    data = recipe.data
    named = {"data.schema": data.schema_path, "validation.reference": recipe.validation.reference}
    for key, path in named.items():
        if path and not os.path.isfile(path) and "://" not in path:
            raise FileNotFoundError(f"{key}: {path}: no such file")
    found = data.dataset()
    train = found.shards_of(TRAIN_SPLIT)
    # With quarantine, the first image may be one that is set aside.
    strict = data.fit == "exact" and data.on_bad_record == "fail"
    if strict and data.image_shape:
        shape = found.reader.shape(train)
        if shape and shape[:2] != data.image_shape[:2]:
            raise ValueError(
                f"data.image_shape: {list(data.image_shape)}, but {found.base} holds images of "
                f"{list(shape)}; data.fit: crop, pad or stretch would resize them"
            )
    count = found.reader.count(train)
    if len(found.splits) == 1:
        count = int(count * (1 - (data.eval_fraction or 0)))
    if recipe.trainer.batch_size > count:
        raise ValueError(
            f"trainer.batch_size: {recipe.trainer.batch_size} is more than the {count} training "
            f"examples in {found.base}"
        )
    return found


def absolute(path: str, folder: str = "") -> str:
    """A path relative to `folder`, by default the current one, as absolute; URIs are unchanged."""
    return path if "://" in path else os.path.abspath(os.path.join(folder, path))


def override_in(tree: dict[str, Any], override: str) -> None:
    """Sets a key of nested sections from `key=value`; raises ValueError for other text."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ValueError(f"--set {override}: expected key=value, e.g. trainer.batch_size=64")
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ValueError(f"--set {override}: {section} is a value, not a section")
    try:
        tree[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {override}: the value is not YAML") from error
