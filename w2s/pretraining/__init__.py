"""The embedded ladders: tiny models, pretrained here on generated languages."""
