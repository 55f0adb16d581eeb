"""Names of the files and folders in the artifacts `model_run` and `evaluation`."""

# In model_run, written by GANTrainer.
UNTRAINED = "untrained"
CONFIGURATION = "configuration.json"
LOG = "log.jsonl"

# In evaluation, written by GANEvaluator.
METRICS = "metrics.json"
REPORT = "report.html"
PICTURE = "samples.png"
TABLE = "samples.csv"
PAGE = "generator.html"
