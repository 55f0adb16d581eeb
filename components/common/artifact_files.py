"""Names of the files and folders in artifacts that another stage, or a command, reads."""

# In model_run, written by GANTrainer.
UNTRAINED = "untrained"
CONFIGURATION = "configuration.json"
LOG = "log.jsonl"

# Written by GANTuner; in hyperparameters the name that TFX's Tuner and Trainer have for it.
HYPERPARAMETERS = "best_hyperparameters.txt"
TRIALS = "tuner_results.json"
SEARCH_PAGE = "tuning.html"
# In the folder of each trial.
TRIAL_SAMPLES = "samples.png"

# In evaluation, written by GANEvaluator.
METRICS = "metrics.json"
REPORT = "report.html"
PICTURE = "samples.png"
TABLE = "samples.csv"
PAGE = "generator.html"
