"""What each target can do: one file each, typed facts with their sources; stdlib only."""
