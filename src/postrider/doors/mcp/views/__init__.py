"""What a client that can show pages shows of some results: MCP Apps, self-contained documents."""
