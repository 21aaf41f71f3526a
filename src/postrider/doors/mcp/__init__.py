"""The MCP door: the catalogue as tools and resources, over Streamable HTTP and over standard input and output."""
