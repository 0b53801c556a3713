"""A self-contained demonstration: drawn storybook scenes, a corpus of them, and a small CLIP trained on nothing else."""
