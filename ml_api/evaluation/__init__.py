"""Measures the quality of searches, for the command `evaluate`: recall and time of the index against exact search (`recall`), and
ranking measures over queries with relevance judgements (`judged`, `measuring`)."""

from ml_api.evaluation.recall import Measured, overlap, recall_of_index

__all__ = ["Measured", "overlap", "recall_of_index"]
