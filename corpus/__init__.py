"""Corpus: Korean text, one sentence a line, a blank line between documents; sample/ is our own."""
