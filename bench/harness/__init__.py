"""What bench/compare and bench/type-errors are made of."""
