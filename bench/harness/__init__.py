"""Modules of bench/compare and bench/type-errors."""
