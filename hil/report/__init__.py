"""What a run is told as: JSON and CSV for programs, HTML and pictures for people."""
