"""Files of tables, CSV and Parquet, and what their columns hold."""
