"""Parts of the car, from the pad to the wheels."""
