"""Making the store equal to the corpus: plan, run, report."""
