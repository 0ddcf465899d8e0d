"""Parts of a run that stood still or gave no answer, and the warnings that follow from it."""
