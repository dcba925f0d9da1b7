"""Modules of bench/compare, bench/real-models, bench/type-errors and bench/training-step."""
