"""Cleaning rules: small functions that change text, or drop lines or documents."""
