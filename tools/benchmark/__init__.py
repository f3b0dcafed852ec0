"""The parts of `make bench`: running the guests, judging the numbers, drawing them."""
