"""Postrider: self-hosted cold-email outreach that AI agents drive."""
