"""How the embedded model was made: corpus, tokenizer, architecture, training. See README.md one folder up."""
