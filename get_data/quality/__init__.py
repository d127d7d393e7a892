"""What is wrong with a set of labelled pictures; suggestions only, nothing is changed."""
