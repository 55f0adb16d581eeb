"""The DAG: which stage feeds which."""

import os
from collections.abc import Mapping, Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Model, ModelBlessing

from components.common.code_version import code_version
from components.data_validator import statistics as data_statistics
from components.data_validator.component import DataValidator, SchemaGen
from components.data_validator.previous import LatestGoodSpan
from components.evaluator.baseline import BlessedBefore
from components.evaluator.component import GANEvaluator
from components.example_gen.component import ImageExampleGen
from components.example_gen.config import DataConfig
from components.feature_extractor.component import FeatureExtractor, extractor_version
from components.infra_validator.component import InfraValidator
from components.pusher.component import Pusher
from components.trainer.component import GANTrainer, trainer_version
from pipeline.config import Recipe

# Its workers run on this machine in this Python environment.
_LOCAL_RUNNER = "FnApiRunner"


def beam_arguments(given: Sequence[str]) -> list[str]:
    """The recipe's `beam`, as passed to the stages.

    Unless a container image is named, TFX packages itself for remote workers at the start of each
    stage, which takes seconds and leaves 42 MB in the temporary folder. The local runner ignores
    images, so naming one turns this off.
    """
    runner = PipelineOptions(list(given)).view_as(StandardOptions).runner
    return [*given, *(["--sdk_container_image=none"] if runner == _LOCAL_RUNNER else [])]


def data_stages(
    config: DataConfig, splits: Mapping[str, str]
) -> tuple[ImageExampleGen, StatisticsGen]:
    """The stages that read data and compute their statistics.

    Args:
      config: the recipe's section `data`.
      splits: split name to glob patterns, from `config.find_data` or `DataConfig.dataset`.
    """
    example_gen = ImageExampleGen(config, splits)
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], stats_options=data_statistics.options()
    )
    return example_gen, statistics_gen


def validation_stages(
    recipe: Recipe,
    example_gen: ImageExampleGen,
    statistics_gen: StatisticsGen,
    *,
    compare_with_earlier: bool = True,
) -> tuple[BaseComponent, BaseComponent, list[Resolver]]:
    """The stages that validate data: the source of the schema, DataValidator and its Resolvers.

    Args:
      recipe: the resolved recipe.
      example_gen: from `data_stages`.
      statistics_gen: from `data_stages`.
      compare_with_earlier: whether a Resolver finds the last good span.
    """
    statistics = statistics_gen.outputs["statistics"]
    if recipe.data.schema_path:
        schema_gen = ImportSchemaGen(schema_file=recipe.data.schema_path)
    else:
        schema_gen = SchemaGen(
            statistics=statistics,
            data=recipe.data.spec.model_dump_json(),
            code_version=code_version("data_validator"),
        )
    resolvers, previous = [], None
    if compare_with_earlier:
        good_span = Resolver(
            strategy_class=LatestGoodSpan,
            examples=example_gen.outputs["examples"],
            statistics=Channel(type=ExampleStatistics),
            anomalies=Channel(type=ExampleAnomalies),
        ).with_id("LatestGoodSpan")
        resolvers.append(good_span)
        previous = good_span.outputs["statistics"]
    data_validator = DataValidator(
        examples=example_gen.outputs["examples"],
        statistics=statistics,
        schema=schema_gen.outputs["schema"],
        previous=previous,
        config=recipe.validation.model_dump_json(),
        code_version=code_version("data_validator"),
    )
    return schema_gen, data_validator, resolvers


def create_pipeline(
    recipe: Recipe,
    splits: Mapping[str, str],
    root: str,
    *,
    compare_with_earlier: bool = True,
    **options: object,
) -> Pipeline:
    """The DAG of a recipe, for any runner.

    Args:
      recipe: the resolved recipe.
      splits: split name to glob patterns, from `config.find_data`.
      root: path or URI for everything that runs write.
      compare_with_earlier: whether Resolvers find the last good span of the data and the last
        and best blessed models; Kubeflow's backend does not support Resolvers.
      **options: further arguments of `tfx.orchestration.pipeline.Pipeline`.
    """
    example_gen, statistics_gen = data_stages(recipe.data, splits)
    examples = example_gen.outputs["examples"]
    schema_gen, data_validator, resolvers = validation_stages(
        recipe, example_gen, statistics_gen, compare_with_earlier=compare_with_earlier
    )
    anomalies = data_validator.outputs["anomalies"]

    data = recipe.data.spec.model_dump_json()
    extractor = FeatureExtractor(
        examples=examples,
        anomalies=anomalies,
        config=recipe.feature_extractor.model_dump_json(),
        data=data,
        data_name=recipe.name,
        code_version=extractor_version(recipe.feature_extractor),
    )
    trainer = GANTrainer(
        examples=examples,
        anomalies=anomalies,
        config=recipe.trainer.model_dump_json(),
        data=data,
        checkpoint_dir=os.path.join(root, "checkpoints"),
        code_version=trainer_version(recipe.trainer),
        extractor=extractor.outputs["extractor"],
    )
    model = trainer.outputs["model"]
    baseline, best = None, None
    if compare_with_earlier:
        blessed = Resolver(
            strategy_class=BlessedBefore,
            candidate=model,
            extractor=extractor.outputs["extractor"],
            model=Channel(type=Model),
            best=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("BlessedModels")
        resolvers.append(blessed)
        baseline, best = blessed.outputs["model"], blessed.outputs["best"]
    evaluator = GANEvaluator(
        examples=examples,
        model=model,
        extractor=extractor.outputs["extractor"],
        model_run=trainer.outputs["model_run"],
        baseline=baseline,
        best=best,
        schema=schema_gen.outputs["schema"],
        config=recipe.evaluator.model_dump_json(),
        data=data,
        code_version=code_version("evaluator"),
    )
    infra_validator = InfraValidator(model=model, code_version=code_version("infra_validator"))
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=recipe.pusher.serving_dir or os.path.join(root, "serving")
            )
        ),
        custom_config={"code_version": code_version("pusher")},
    )
    return Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=os.path.join(root, "artifacts"),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            data_validator,
            extractor,
            trainer,
            *resolvers,
            evaluator,
            infra_validator,
            pusher,
        ],
        beam_pipeline_args=beam_arguments(recipe.beam),
        **options,
    )
