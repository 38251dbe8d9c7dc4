"""What a station is deployed with; never part of the wheel."""
