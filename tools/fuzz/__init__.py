"""The parts of `make fuzz-diff`: making sequences, running them, shrinking them, printing them."""
