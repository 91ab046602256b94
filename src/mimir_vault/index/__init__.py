"""Finding nodes by vector: the sketch, the exact path and the planner."""
