"""The chain: the one place that shows which stage feeds which."""

import os
from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.component import SchemaGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components import stage
from components.evaluator.baseline import LatestBlessedBefore
from components.evaluator.component import GANEvaluator
from components.example_gen.component import ImageExampleGen
from components.feature_extractor.component import FeatureExtractor
from components.infra_validator.component import InfraValidator
from components.pusher.component import Pusher
from components.trainer.component import GANTrainer
from pipeline.config import Recipe


def create_pipeline(
    recipe: Recipe,
    splits: Mapping[str, str],
    root: str,
    *,
    compare_with_blessed: bool = True,
    **options: object,
) -> Pipeline:
    """The DAG of a recipe, for any runner.

    Args:
      recipe: the resolved recipe.
      splits: of the data, from `config.find_data`.
      root: path or URI of everything that the runs leave.
      compare_with_blessed: whether a Resolver finds the last blessed model; Kubeflow's backend
        takes no Resolver.
      **options: of `tfx.orchestration.pipeline.Pipeline`.
    """
    example_gen = ImageExampleGen(recipe.data, splits)
    examples = example_gen.outputs["examples"]
    statistics_gen = StatisticsGen(
        examples=examples,
        stats_options=tfdv.StatsOptions(enable_semantic_domain_stats=True),
    )
    statistics = statistics_gen.outputs["statistics"]
    if recipe.data.schema_path:
        schema_gen = ImportSchemaGen(schema_file=recipe.data.schema_path)
    else:
        schema_gen = SchemaGen(statistics=statistics)
    example_validator = ExampleValidator(statistics=statistics, schema=schema_gen.outputs["schema"])
    anomalies = example_validator.outputs["anomalies"]

    extractor = FeatureExtractor(
        examples=examples,
        anomalies=anomalies,
        config=recipe.feature_extractor,
        data=recipe.data.spec,
        data_name=recipe.name,
    )
    trainer = GANTrainer(
        examples=examples,
        anomalies=anomalies,
        config=recipe.trainer,
        data=recipe.data.spec,
        checkpoint_dir=os.path.join(root, "checkpoints"),
        extractor=extractor.outputs["extractor"],
    )
    model = trainer.outputs["model"]
    resolvers = []
    if compare_with_blessed:
        resolvers = [
            Resolver(
                strategy_class=LatestBlessedBefore,
                candidate=model,
                model=Channel(type=Model),
                model_blessing=Channel(type=ModelBlessing),
            ).with_id("LatestBlessedModel")
        ]
    evaluator = GANEvaluator(
        examples=examples,
        model=model,
        extractor=extractor.outputs["extractor"],
        model_run=trainer.outputs["model_run"],
        baseline=resolvers[0].outputs["model"] if resolvers else None,
        schema=schema_gen.outputs["schema"],
        config=recipe.evaluator,
        data=recipe.data.spec,
    )
    infra_validator = InfraValidator(model=model)
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=recipe.pusher.serving_dir or os.path.join(root, "serving")
            )
        ),
        custom_config={"code_version": stage.code_version("pusher")},
    )
    return Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=os.path.join(root, "artifacts"),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            extractor,
            trainer,
            *resolvers,
            evaluator,
            infra_validator,
            pusher,
        ],
        beam_pipeline_args=list(recipe.beam),
        **options,
    )
