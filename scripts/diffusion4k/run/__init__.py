"""What looks over a whole run: before its first job (preflight), and its page (report)."""
