"""What lies on the disk: files that are whole or not there, models, tables, locks, URLs."""
