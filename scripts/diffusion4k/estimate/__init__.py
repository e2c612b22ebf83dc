"""What a run takes before it starts: arithmetic, time, disk."""
