"""Models that answer over the network, by OpenAI's chat protocol, and what they are asked."""
