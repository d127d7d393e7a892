"""Motors of the car, and the guard that stops them."""
