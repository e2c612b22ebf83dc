"""Numbers with units, for people."""


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 20 s, 5 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def counted(count: int, noun: str) -> str:
    """1 claim, 2 claims."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def scaled(value: float, unit: str) -> str:
    """2.44 TFLOP, 989 TFLOP/s: three digits, with the prefix that fits."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if value < 999.5:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.3g} Z{unit}"
