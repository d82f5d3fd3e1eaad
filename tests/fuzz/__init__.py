"""Coverage-guided fuzzing of the readers of everything that people and scanners hand in."""
