"""Arguments of `minimize`: their validation, and the translation of scipy's."""
