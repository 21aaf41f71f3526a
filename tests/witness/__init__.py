"""Listens to what every test logs, here and in the processes that it starts, and knows the secrets that went by."""
