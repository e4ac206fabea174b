"""What each exercise is checked by: steps(folder) of its module yields a line for each step that is right."""
