"""Search for better values of the recipe's section `trainer`, carried by Optuna."""
