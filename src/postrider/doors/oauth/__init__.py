"""The embedded authorization server: apps ask, people decide, tokens are given and taken back (OAuth 2.1)."""
