"""Readers: files of many formats to documents."""
