"""Running pipelines of AI agents. Knows nothing of how anybody watches them."""
