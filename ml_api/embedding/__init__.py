"""Embeds text and images as vectors of one space. `base` has the contracts; `services` composes the implementations."""
