"""How /v1 translates. What operations do is tested elsewhere."""
