"""Names of the files and folders in the artifacts `model_run` and `evaluation`."""

# Of model_run, which GANTrainer leaves.
UNTRAINED = "untrained"
CONFIGURATION = "configuration.json"
LOG = "log.jsonl"

# Of evaluation, which GANEvaluator leaves.
METRICS = "metrics.json"
REPORT = "report.html"
PICTURE = "samples.png"
TABLE = "samples.csv"
