"""What every record of a benchmark holds, run by itself or as a step of gpu_check.py."""

# scripts of benchmarks/ that run in the rehearsal of tests/benchmarks/test_gpu_check.py
REHEARSED = {"machine", "segment", "attention", "between"}


def looked_at(record: dict, text: str) -> None:
    """Asserts it of a quick one; `text`: what was printed, its rows among others."""
    assert record["quick"] and record["device"] and record["date"] and record["versions"]
    assert all(row["seconds"] > 0 for row in record["rows"])
    assert all(f"| {row['case']} | {row['side']} |" in text for row in record["rows"])
