"""Saved models become one page to look at and to mail around."""
