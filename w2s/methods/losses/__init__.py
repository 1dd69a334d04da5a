"""What a student minimises: one file a loss, its function named as the file.

Each function takes a batch's `logits` z [batch] with f = P(true) = σ(z), the weak `labels` in [0, 1] [batch], and
`progress`, the fraction of training done; it returns the mean loss. Keyword-only parameters are the recipe's options
in params.yaml, their annotations the allowed ranges. The first paragraph of its docstring goes on with "The method
minimises …" in the report. Without any of them students minimise cross-entropy, in generation always.
"""
