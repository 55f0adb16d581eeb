"""How the stages chain and where they run; no learning code here."""
