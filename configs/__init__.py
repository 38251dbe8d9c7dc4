"""What a site engineer edits, and the readers that check it. Every problem names its file, line and key."""
