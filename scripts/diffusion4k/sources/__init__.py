"""Where data, models and metric weights come from: fetched, found, or made in miniature."""
