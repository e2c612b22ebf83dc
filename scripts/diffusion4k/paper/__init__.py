"""The last stage: the paper's tables and figures beside ours, and the report."""
